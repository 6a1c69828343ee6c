/** The log of a run: JSON lines, one per update. A resumed run forgets what lies beyond its checkpoint. */
import { mkdir, open, readFile, rename, writeFile, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { LogLine } from "./log-line.ts";

/** Opens a log for appending after `update`; later lines are removed. */
export async function openLog(
  file: string,
  update: number,
): Promise<{ append(line: LogLine): Promise<void>; close(): Promise<void> }> {
  await mkdir(dirname(file), { recursive: true });
  const kept = (await readLog(file)).filter((line) => line.update <= update);
  const temporary = `${file}.part`;
  await writeFile(temporary, kept.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await rename(temporary, file);
  const handle: FileHandle = await open(file, "a");
  return {
    append: async (line) => void (await handle.write(`${JSON.stringify(line)}\n`)),
    close: () => handle.close(),
  };
}

/** Lines of a log; a last line that was cut off by a crash is left out. */
export async function readLog(file: string): Promise<LogLine[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    try {
      return line === "" ? [] : [JSON.parse(line) as LogLine];
    } catch {
      return [];
    }
  });
}
