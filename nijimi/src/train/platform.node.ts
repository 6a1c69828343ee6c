/** Training with files, in Node. */
export { runRecipe } from "./run/run.node.ts";
