/** Training with files, in Node. */
export { runRecipe, storedSettings } from "./run/run.node.ts";
