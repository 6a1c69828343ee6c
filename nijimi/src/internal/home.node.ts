/** The home folder: where models, caches and outputs live when nobody says otherwise. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export interface Home {
  readonly root: string;
  /** Downloaded and converted models. */
  readonly models: string;
  /** Whatever can be made again: optimised graphs, partial downloads. May be deleted at any time. */
  readonly cache: string;
  /** Images, trained models and other results, when no place is named. */
  readonly outputs: string;
}

/**
 * Paths of the home folder, none of which is created.
 *
 * @param env `NIJIMI_HOME` names the root. @default process.env, and `~/.nijimi` where the variable is not set
 */
export function home(env: Readonly<Record<string, string | undefined>> = process.env): Home {
  const root = resolve(env.NIJIMI_HOME || join(homedir(), ".nijimi"));
  return {
    root,
    models: join(root, "models"),
    cache: join(root, "cache"),
    outputs: join(root, "outputs"),
  };
}
