/** Files that cases name from the collection they came in. */
import { existsSync } from "node:fs";
import path from "node:path";
import type { Case } from "../case.ts";

/** The file, sought in the case's folder and those above it up to the directory of cases; undefined where it is not. */
export function companionFile({ folder, root }: Case, name: string): string | undefined {
  for (let place = folder; ; place = path.dirname(place)) {
    const file = path.join(place, name);
    if (existsSync(file)) return file;
    if (path.relative(root, place) === "" || place === path.dirname(place)) return undefined;
  }
}
