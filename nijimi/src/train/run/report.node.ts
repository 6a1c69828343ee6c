/** The report of a run's folder. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { relative } from "node:path";
import type { Settings } from "../recipe.ts";
import { type Report, reportHtml, type Sheet } from "../report/report.ts";
import type { RunFolder } from "./folder.node.ts";
import { readLog } from "./log.node.ts";

const PREVIEW = /^(.+)-(\d{8})\.png$/;

/** Writes the page from what the folder holds. */
export async function writeReport(
  folder: RunFolder,
  recipe: string,
  settings: Settings,
): Promise<void> {
  const names = await readdir(folder.previews).catch(() => []);
  const sheets = names.flatMap((file): Sheet[] => {
    const found = PREVIEW.exec(file);
    const source = `${relative(folder.root, folder.previews)}/${file}`;
    return found ? [{ name: found[1], update: Number(found[2]), source }] : [];
  });
  const page = reportHtml({
    recipe,
    settings,
    log: await readLog(folder.log),
    evaluations: await readEvaluations(folder.evaluations),
    sheets,
  });
  await writeFile(folder.report, page);
}

/** Lines of the evaluations; of one update the last, since a resumed run may repeat some. */
async function readEvaluations(file: string): Promise<Report["evaluations"]> {
  const text = await readFile(file, "utf8").catch(() => "");
  const lines = text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Report["evaluations"][number]);
  return [...new Map(lines.map((line) => [line.update, line])).values()];
}
