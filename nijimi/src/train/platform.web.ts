/** Training with files does not exist in a browser; the loop itself does. */
import { NijimiError } from "../errors.ts";
import type { runRecipe as runRecipeInNode } from "./run/run-recipe.ts";

// oxlint-disable-next-line require-yield
export const runRecipe: typeof runRecipeInNode = async function* () {
  throw new NijimiError(
    "unsupported",
    "Runs keep checkpoints in a folder, which a browser has not; use train() and keep its states.",
  );
};
