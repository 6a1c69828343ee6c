/**
 * Converts the checkpoints of a directory of cases and loads what was written with Python's diffusers and
 * transformers: no key missing, none unexpected, equal tensors, equal configs.
 *
 * `npx tsx --conditions=@nijimi/source scripts/check-converted.ts [--cases DIR]`
 *
 * Python is `$NIJIMI_PYTHON`, else `python3`; where it has no diffusers the check says so and is skipped.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { convertCheckpoint, inspectCheckpoint } from "nijimi/checkpoints";
import { listedFiles } from "../conformance/checkpoints/manifest.ts";
import { readCases } from "../conformance/read-case.ts";

interface Folder {
  readonly folder: string;
  /** The folder that the converted file is of. */
  readonly reference?: string;
}

const SCRIPT = path.join(import.meta.dirname, "python/check_converted.py");

/** Converts every model that the manifests list, in folders and in single files. */
async function convertAll(cases: string, output: string): Promise<Folder[]> {
  const folders: Folder[] = [];
  for (const c of readCases(cases)) {
    const inputs = listedFiles(c.json).map(({ file }) => path.join(path.dirname(c.folder), file));
    for (const input of inputs) {
      if (!(await isModel(input))) continue;
      const folder = path.join(output, path.relative(cases, input).replaceAll(/[/.]/g, "_"));
      await convertCheckpoint(input, folder);
      folders.push({ folder, reference: await findReference(input, inputs) });
    }
  }
  return folders;
}

async function isModel(input: string): Promise<boolean> {
  if (input.endsWith(".json")) return false;
  const { kind, components } = await inspectCheckpoint(input);
  return kind === "model" && components.length > 0;
}

/** The folder beside the input whose networks have the same parameters; the input itself for a folder. */
async function findReference(
  input: string,
  inputs: readonly string[],
): Promise<string | undefined> {
  const wanted = await shapesOf(input);
  const beside = inputs.filter(
    (other) => other.endsWith("/") && path.dirname(other) === path.dirname(input),
  );
  for (const folder of beside) if ((await shapesOf(folder)) === wanted) return folder;
  return undefined;
}

async function shapesOf(input: string): Promise<string> {
  const { tensorList = [] } = await inspectCheckpoint(input, { tensors: true });
  return tensorList
    .map(({ name, shape }) => `${name} [${shape}]`)
    .sort()
    .join();
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cases: { type: "string", default: path.join(import.meta.dirname, "../conformance/cases") },
    },
  });
  const python = process.env.NIJIMI_PYTHON ?? "python3";
  if (spawnSync(python, ["-c", "import diffusers, transformers"]).status !== 0) {
    console.log(
      `skipped: ${python} has no diffusers and transformers; NIJIMI_PYTHON names another`,
    );
    return 0;
  }
  const output = mkdtempSync(path.join(tmpdir(), "converted-"));
  try {
    const folders = await convertAll(values.cases, output);
    const shown = execFileSync(python, [SCRIPT], {
      input: JSON.stringify(folders),
      encoding: "utf8",
    });
    process.stdout.write(shown);
    console.log(`${folders.length} passed, 0 failed`);
    return 0;
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (stdout === undefined) throw error;
    process.stdout.write(stdout);
    return 1;
  } finally {
    rmSync(output, { recursive: true });
  }
}

process.exitCode = await main();
