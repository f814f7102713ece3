/**
 * How the agent's Node is to be started: `node ...AGENT_NODE_FLAGS build/workers/agent/main.js --settings FILE`.
 * The agent keeps little and throws away much (200 containers are 600 KB of text a second): a small young generation keeps its memory below 80 MB.
 */
export const AGENT_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=2', '--max-old-space-size=48'];
