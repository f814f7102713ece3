import { blip } from './blip.js';
import type { Drill } from './drill.js';
import { relieveContainer } from './relieve-container.js';

/** Every outage that can be rehearsed: a new one is a file here and a row. */
export const DRILLS: readonly Drill[] = [relieveContainer, blip];
