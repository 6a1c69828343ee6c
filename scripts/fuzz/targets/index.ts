/** All targets. A parser that reads what users bring belongs here. */
import type { Target } from "../target.ts";
import { checkpointTargets } from "./checkpoints.ts";
import { imageTargets } from "./images.ts";
import { jsonTargets } from "./json.ts";
import { textTargets } from "./text.ts";

export const targets: readonly Target[] = [
  ...checkpointTargets,
  ...jsonTargets,
  ...imageTargets,
  ...textTargets,
];
