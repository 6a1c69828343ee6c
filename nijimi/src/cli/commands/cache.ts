/** `nijimi cache`: what lies in the cache folder, how large it is, and removing it. */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { unknownName } from "../../errors.ts";
import { home } from "../../internal/home.node.ts";
import { defineCommand } from "../command.ts";
import { formatBytes } from "../format.ts";

interface Entry {
  readonly name: string;
  readonly files: number;
  readonly bytes: number;
}

export const command = defineCommand({
  description: "Show or clear what can be made again",
  options: {
    action: {
      type: "argument",
      choices: ["show", "clear"],
      default: "show",
      description: "What to do",
    },
    entry: {
      type: "argument",
      optional: true,
      description: "Only this part of the cache, by its name in the list",
    },
  },
  examples: [
    { command: "cache", description: "What is there, and how large it is" },
    { command: "cache clear", description: "Remove all of it" },
    { command: "cache clear graphs", description: "Remove one part" },
  ],
  async run({ action, entry }, { env, signal, result }) {
    const { cache } = home(env);
    const all = await measure(cache, signal);
    if (entry !== undefined && !all.some(({ name }) => name === entry))
      throw unknownName(
        "part of the cache",
        entry,
        all.length > 0 ? all.map(({ name }) => name) : ["(it is empty)"],
      );
    const entries = all.filter(({ name }) => entry === undefined || name === entry);
    if (action === "clear")
      for (const { name } of entries) await rm(join(cache, name), { recursive: true });
    const bytes = entries.reduce((sum, part) => sum + part.bytes, 0);
    result({ folder: cache, action, bytes, entries }, (value) =>
      [
        ...value.entries.map(
          (part) => `${formatBytes(part.bytes).padStart(9)}  ${part.name} (${part.files} files)`,
        ),
        `${formatBytes(bytes).padStart(9)}  ${action === "clear" ? "removed from" : "in"} ${cache}`,
      ].join("\n"),
    );
  },
});

/** Direct children of `folder` with the size of all files below them; none when it does not exist. */
async function measure(folder: string, signal: AbortSignal): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const name of (await list(folder)).sort()) {
    signal.throwIfAborted();
    const sizes = await sizesBelow(join(folder, name));
    entries.push({ name, files: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) });
  }
  return entries;
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function sizesBelow(path: string): Promise<number[]> {
  const stats = await stat(path);
  if (!stats.isDirectory()) return [stats.size];
  const below = await readdir(path, { recursive: true, withFileTypes: true });
  const files = below.filter((file) => file.isFile());
  return Promise.all(
    files.map(async (file) => (await stat(join(file.parentPath, file.name))).size),
  );
}
