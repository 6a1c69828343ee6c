/** The pictures of `--grid`: one per combination, found again in a later run, and all of them as one. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { NijimiError } from "../../errors.ts";
import { readImage } from "../../images/codec.ts";
import { tileImages } from "../../images/grid.ts";
import type { Image } from "../../images/image.ts";
import type { Recipe } from "../../images/metadata/recipe.ts";
import { isThere } from "../../internal/is-there.node.ts";
import { adaptersWithoutPictures } from "../../pipelines/recipe.ts";
import type { CommandContext } from "../command.ts";
import type { Options } from "../options.ts";
import { readVersion } from "../package-version.ts";
import { filesOf } from "./adapters.ts";
import { type GridAxis, type GridCell, gridCells, parseGrid } from "./grid.ts";
import { makeBatch, randomSeed, save, type Target, type Written } from "./make.ts";
import { OPTIONS } from "./options.ts";
import { type AnyRequest, type Given, requestOf } from "./settings.ts";
import type { Pipelines } from "./task.ts";
import { savePicture } from "./write.ts";

/** What `--grid` asks for. */
export interface Grid {
  readonly axes: readonly GridAxis[];
  readonly cells: readonly GridCell[];
  /** Of all cells, unless the seed is an axis. */
  readonly seed: string;
}

/** The grid of the options; undefined without `--grid`. */
export function gridOf(
  { grid: text, seed, count = 1 }: Given,
  recipe: Recipe | undefined,
): Grid | undefined {
  if (text === undefined) return undefined;
  if (count > 1)
    throw new NijimiError(
      "option",
      `--grid makes one picture of every combination; leave out --count ${count}, or make seed an axis.`,
    );
  const axes = parseGrid(text, GRID_OPTIONS);
  return {
    axes,
    cells: gridCells(axes, GRID_OPTIONS),
    seed: seed ?? String(recipe?.seed ?? randomSeed()),
  };
}

/** Options of a request that do not change what is loaded. */
const GRID_OPTIONS: Options = Object.fromEntries(
  Object.entries(OPTIONS).filter(
    ([name]) =>
    [
      "negativePrompt", "width", "height", "steps", "sampler", "schedule", "guidanceScale", "guidanceRescale", "eta",
      "clipSkip", "grammar", "emphasis", "strength", "seed", "noise", "variationStrength", "variationSeed",
      "controlScale", "controlStart", "controlEnd", "prompt",
    ].includes(name), // prettier-ignore
  ),
);

export interface GridJob {
  readonly model: string;
  readonly given: Given;
  readonly prompt: string;
  readonly recipe: Recipe | undefined;
  readonly grid: Grid;
  readonly target: Target;
  readonly context: CommandContext;
  readonly notes: Set<string>;
}

/** One picture per cell, named by a hash of its settings, so that it is found again; then all of them as one. */
export async function makeGrid(pipelines: Pipelines, job: GridJob) {
  const { model, given, prompt, recipe, target, context, notes } = job;
  const { axes, cells, seed } = job.grid;
  const folder = join(target.folder, "grid-cells");
  const written: Written[] = [];
  const images: Image[] = [];
  for (const [i, cell] of cells.entries()) {
    const own = { ...given, seed, ...cell, count: 1 } as Given;
    const text = String(cell.prompt ?? prompt);
    const request = await requestOf(own, text, recipe, pipelines.pipeline);
    const file = join(folder, `${await cellKey(model, own, request)}.png`);
    const reused = await isThere(file);
    if (!reused) {
      const label = `Picture ${i + 1} of ${cells.length}`;
      await makeBatch(pipelines, request, label, given, context, async (made) => {
        made.notes.forEach((note) => notes.add(note));
        await save(file, made);
      });
    }
    const image = await readImage(file);
    images.push(image);
    const { width, height } = image;
    written.push({ file, seed: own.seed, width, height, ...(reused && { reused }) });
  }
  const file = target.file ?? join(target.folder, `grid-${Date.now()}.png`);
  await savePicture(file, tileImages(images, { columns: axes[0].values.length, gap: 4 }));
  return { images: written, grid: file };
}

/** Identity of a cell: its request, how the model is loaded, files with their sizes and times of change. */
async function cellKey(model: string, given: Given, request: AnyRequest): Promise<string> {
  const { image: _image, mask: _mask, depth: _depth, ...others } = request;
  const settings = { ...others, ...adaptersWithoutPictures(request) };
  const files = [model, ...filesOf(given)];
  const states = await Promise.all(
    files.map(async (file) =>
      file === undefined
        ? ""
        : stat(file).then(
            ({ size, mtimeMs }) => `${file}:${size}:${mtimeMs}`,
            () => file,
          ),
    ),
  );
  const { precision, variant, seamless } = given;
  const loading = { precision, variant, seamless };
  const text = JSON.stringify([settings, loading, states, readVersion()], (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  return createHash("sha256").update(text).digest("hex").slice(0, 24);
}
