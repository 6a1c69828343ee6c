/** Training with files, in Node. */
export { connectMpi } from "./mpi/together.node.ts";
export { runRecipe, storedSettings } from "./run/run.node.ts";
