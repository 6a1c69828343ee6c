/** What training needs of the platform; `#train` gives Node's or the browser's. */
import type { CommonSettings, Recipe, Settings } from "./recipe.ts";
import type { RunEvent, RunOptions } from "./run/events.ts";

export interface Platform {
  runRecipe<S extends CommonSettings>(
    recipe: Recipe<S>,
    settings: S,
    options: RunOptions,
  ): AsyncGenerator<RunEvent>;
  storedSettings(folder: string): Promise<Settings | undefined>;
}
