/** Saving the statistics of a set of pictures. */
import { writeFile } from "node:fs/promises";
import { NijimiError } from "../../errors.ts";
import { statisticsOfSet } from "../../metrics/evaluate/statistics-of-set.ts";
import type { EvaluationOptions, ImageSet } from "../../metrics/evaluate/types.ts";
import { type SavedStatistics, writeStatistics } from "../../metrics/statistics-file.ts";
import type { CommandContext } from "../command.ts";

/** Computes the statistics of a set and writes them as `.npz`. */
export async function saveStatistics(
  path: string,
  set: ImageSet,
  options: EvaluationOptions,
  { progress, say }: CommandContext,
): Promise<void> {
  if (!/\.npz$/i.test(path))
    throw new NijimiError("option", `Statistics are written as .npz; got ${path}.`);
  const display = progress({ label: "statistics", unit: "picture", total: set.size });
  let statistics: SavedStatistics | undefined;
  for await (const event of statisticsOfSet(set, options.networks.features!, options)) {
    display.update(event.done);
    statistics = event.statistics;
  }
  display.end();
  await writeFile(path, writeStatistics(statistics!));
  say(`Statistics: ${path}`);
}
