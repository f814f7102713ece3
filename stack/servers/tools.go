//go:build tools

// Package servers pins the two servers that `npm start` builds: nothing here is compiled into Nightshift.
package servers

import (
	_ "github.com/nats-io/nats-server/v2"
	_ "github.com/temporalio/cli/cmd/temporal"
)
