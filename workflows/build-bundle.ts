import { writeFile } from 'node:fs/promises';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

/** What webpack says while it bundles; shown only when it fails. */
function collector(): { lines: string[]; logger: Parameters<typeof bundleWorkflowCode>[0]['logger'] } {
  const lines: string[] = [];
  const log = (level: string, message: string): void => void lines.push(`${level} ${message}`);
  const at =
    (level: string) =>
    (message: string): void =>
      log(level, message);
  return { lines, logger: { log, trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

/** Bundles the workflows that `entry` (a .js or .ts file) exports into the one script that the workflow sandbox runs. About a second. */
export async function bundleWorkflows(entry: string): Promise<string> {
  const { lines, logger } = collector();
  try {
    const { code } = await bundleWorkflowCode({ workflowsPath: entry, ...(logger === undefined ? {} : { logger }) });
    return code;
  } catch (cause) {
    throw new Error(`the workflows in ${entry} cannot be bundled:\n${lines.join('\n')}`, { cause });
  }
}

// `node build/workflows/build-bundle.js`, after tsc: writes build/workflow-bundle.js, which the engine loads.
if (argv[1] === fileURLToPath(import.meta.url)) {
  const code = await bundleWorkflows(fileURLToPath(new URL('./index.js', import.meta.url)));
  await writeFile(new URL('../workflow-bundle.js', import.meta.url), code);
}
