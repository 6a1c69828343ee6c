/** Training with files does not exist in a browser; the loop itself does. */
import { NijimiError } from "../errors.ts";
import type { Platform } from "./platform.ts";

const NO_FILES =
  "Runs keep checkpoints in a folder, which a browser has not; use train() and keep its states.";

// oxlint-disable-next-line require-yield
export const runRecipe: Platform["runRecipe"] = async function* () {
  throw new NijimiError("unsupported", NO_FILES);
};

export const storedSettings: Platform["storedSettings"] = async () => {
  throw new NijimiError("unsupported", NO_FILES);
};

export const connectMpi: Platform["connectMpi"] = async () => undefined;
