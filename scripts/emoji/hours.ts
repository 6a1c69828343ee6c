/** How the embedded model was trained, from the folders of its trainings: commands and hours. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { loadRecipe, type Settings, type SettingValue } from "nijimi/train";

/** One training. */
export interface TrainingRecord {
  readonly recipe: string;
  /** What started it, with the settings that are not the recipe's. */
  readonly command: string;
  readonly updates: number;
  readonly batchSize: number;
  /** Time spent in updates. */
  readonly hours: number;
  /** Share of it that was spent on waiting for data. */
  readonly waited: number;
}

/** The record of a run; undefined where there is none. */
export async function trainingRecord(
  trainings: string,
  recipe: string,
): Promise<TrainingRecord | undefined> {
  const folder = path.join(trainings, recipe);
  const run = await readFile(path.join(folder, "run.json"), "utf8").catch(() => undefined);
  const log = await readFile(path.join(folder, "metrics.jsonl"), "utf8").catch(() => undefined);
  if (run === undefined || log === undefined) return undefined;
  const { settings } = JSON.parse(run) as { readonly settings: Settings };
  const defaults = (await loadRecipe(recipe)).settings;
  const lines = log
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { update: number; milliseconds: number; waited: number });
  const total = (name: "milliseconds" | "waited") =>
    lines.reduce((sum, line) => sum + line[name], 0);
  return {
    recipe,
    command: [
      `nijimi train ${recipe} --set data=noto-emoji-128.tar.gz`,
      ...changes(defaults, settings),
    ].join(" --set "),
    updates: lines.at(-1)?.update ?? 0,
    batchSize: Number(settings["batchSize"]),
    hours: total("milliseconds") / 3.6e6,
    waited: total("waited") / total("milliseconds"),
  };
}

/** Settings that differ, as `--set` takes them. */
function changes(defaults: Settings, settings: Settings, above = ""): string[] {
  return Object.entries(settings).flatMap(([key, value]) => {
    const name = above + key;
    const old: SettingValue | undefined = defaults[key];
    if (name === "data" || JSON.stringify(old) === JSON.stringify(value)) return [];
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return changes((old ?? {}) as Settings, value as Settings, `${name}.`);
    return [`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`];
  });
}
