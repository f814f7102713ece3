/**
 * How the agent's Node is to be started: `node ...AGENT_NODE_FLAGS build/workers/agent/main.js --settings FILE`.
 * The agent keeps little and throws away much (200 containers are 600 KB of text a second): with a small young
 * generation its memory peaks at 75 MB, with Node's own default at 84.
 */
export const AGENT_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--max-old-space-size=64'];
