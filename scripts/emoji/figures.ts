/** The embedded model's figures, one function each. All are plain data, for `figures.json` and the model card. */
import { type Image, imagesToTensor, tileImages } from "nijimi/images";
import type { ClipNetwork } from "nijimi/metrics";
import type { Pipeline } from "nijimi/pipelines";
import { torchGenerator } from "nijimi/tensor";
import { sampleLatents } from "../../nijimi/src/pipelines/networks/autoencoder.ts";
import { draw, type DrawContext, type DrawSettings } from "./draw.ts";
import {
  CANDIDATE_SEED,
  distance,
  type Embedded,
  embedCaptions,
  embedPictures,
  type Retrieval,
  retrieval,
  rowsOf,
} from "./judge.ts";
import { GROUPS, type Group, type Item, type Sets, spread } from "./sets.ts";

/** What figures are made from. */
export interface FigureContext extends DrawContext {
  readonly judge: ClipNetwork;
  readonly sets: Sets;
  readonly settings: DrawSettings;
}

/** Retrieval and distance of generated pictures, beside those of the real ones. */
export interface Quality {
  readonly settings: DrawSettings;
  readonly generated: Readonly<Record<Group, Retrieval>>;
  /** Real pictures; compositions have none. */
  readonly real: Readonly<Record<"training" | "withheld", Retrieval>>;
  readonly distance: {
    readonly name: string;
    /** Generated pictures of the training captions against the real ones. */
    readonly generated: number;
    readonly pictures: number;
    /** Between two halves of the real ones, of so many pictures each. */
    readonly halves: number;
    readonly half: number;
  };
}

/** Everything about the pictures of the groups. */
export async function quality(context: FigureContext): Promise<Quality> {
  const { judge, sets, settings } = context;
  const pictures: Image[] = [];
  for (const group of GROUPS) pictures.push(...(await draw(context, group, sets[group], settings)));
  const items = GROUPS.flatMap((group) => sets[group]);
  const texts = await embedCaptions(
    judge,
    items.map(({ caption }) => caption),
  );
  const generated: Embedded = { images: await embedPictures(judge, pictures), texts };
  const places = placesOf(sets);
  const shown = [...places.training, ...places.withheld];
  const real: Embedded = {
    images: await embedPictures(
      judge,
      shown.map((i) => items[i].picture as Image),
    ),
    texts: rowsOf(texts, shown),
  };
  const realTraining = rowsOf(real.images, places.training);
  const [first, second] = halves(places.training);
  return {
    settings,
    generated: {
      training: await retrieval(generated, places.training),
      withheld: await retrieval(generated, places.withheld),
      compositions: await retrieval(generated, places.compositions),
    },
    real: {
      training: await retrieval(real, places.training),
      withheld: await retrieval(real, places.withheld),
    },
    distance: {
      name: `FD (${judge.name})`,
      generated: await distance(rowsOf(generated.images, places.training), realTraining),
      pictures: places.training.length,
      halves: await distance(rowsOf(real.images, first), rowsOf(real.images, second)),
      half: first.length,
    },
  };
}

/** Two halves by chance, of equal size. */
function halves(rows: readonly number[]): [number[], number[]] {
  const draws = torchGenerator(CANDIDATE_SEED).rand([rows.length]).data;
  const shuffled = rows
    .map((row, i) => ({ row, order: draws[i] }))
    .sort((a, b) => a.order - b.order)
    .map(({ row }) => row);
  const half = Math.floor(rows.length / 2);
  return [shuffled.slice(0, half), shuffled.slice(half, 2 * half)];
}

/** Rows of each group when all are laid one after the other. */
function placesOf(sets: Sets): Record<Group, number[]> {
  let at = 0;
  const ranges = GROUPS.map((group) => {
    const range = sets[group].map((_, i) => at + i);
    at += range.length;
    return [group, range] as const;
  });
  return Object.fromEntries(ranges) as Record<Group, number[]>;
}

/** Reconstruction of pictures that the autoencoder has not seen. */
export interface Reconstruction {
  readonly pictures: number;
  /** Decibels, mean and worst. */
  readonly psnr: number;
  readonly worst: number;
}

/** Withheld pictures through the autoencoder: the posterior's mean, decoded. */
export async function reconstruction(
  { autoencoder }: Pipeline,
  items: readonly Item[],
): Promise<Reconstruction> {
  const values: number[] = [];
  for (const { picture } of items) {
    const x = imagesToTensor([picture as Image]);
    const latents = sampleLatents(await autoencoder.encode(x), autoencoder.config);
    values.push(decibels(x.data, (await autoencoder.decode(latents)).data));
  }
  return { pictures: values.length, psnr: mean(values), worst: Math.min(...values) };
}

/** What equal pictures count as. */
const IDENTICAL = 100;

/** PSNR of numbers in −1 … 1; the second are clamped to that range. */
function decibels(a: Float32Array, b: Float32Array): number {
  const squares = a.reduce((sum, x, i) => sum + (x - Math.min(1, Math.max(-1, b[i]))) ** 2, 0);
  return Math.min(IDENTICAL, 10 * Math.log10((4 * a.length) / squares));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Pictures made of training captions against the real ones and the captions. */
interface Figures {
  readonly distance: number;
  /** Candidates are these captions. */
  readonly retrieval: Retrieval;
}

/** Some training items, and how pictures made of their captions compare. */
async function references({ judge, sets }: FigureContext, count: number) {
  const items = spread(sets.training, count);
  const all = items.map((_, i) => i);
  const texts = await embedCaptions(
    judge,
    items.map(({ caption }) => caption),
  );
  const real = await embedPictures(
    judge,
    items.map(({ picture }) => picture as Image),
  );
  return {
    items,
    compare: async (pictures: readonly Image[]): Promise<Figures> => {
      const images = await embedPictures(judge, pictures);
      return {
        distance: await distance(images, real),
        retrieval: await retrieval({ images, texts }, all),
      };
    },
  };
}

/** A place on the curve of guidance. */
export interface SweepPoint extends Figures {
  readonly guidanceScale: number;
}

export const SWEEP_SCALES = [1, 1.5, 2, 3, 4, 5, 6, 7, 8] as const;

/** Distance and retrieval of training captions over guidance scales. */
export async function guidanceSweep(
  context: FigureContext,
  count: number,
): Promise<readonly SweepPoint[]> {
  const { settings } = context;
  const { items, compare } = await references(context, count);
  const points: SweepPoint[] = [];
  for (const guidanceScale of SWEEP_SCALES) {
    const pictures = await draw(context, "sweep", items, { ...settings, guidanceScale });
    points.push({ guidanceScale, ...(await compare(pictures)) });
  }
  return points;
}

export const SHEET_SAMPLERS = [
  "DDIM",
  "Euler",
  "Euler a",
  "Heun",
  "DPM++ 2M",
  "DPM++ 2M Karras",
  "UniPC",
] as const;
export const SHEET_STEPS = [5, 10, 20, 50] as const;

/** One caption and seed: a row per sampler, a column per number of steps. */
export async function samplerSheet(context: FigureContext, item: Item): Promise<Image> {
  const cells: Image[] = [];
  for (const sampler of SHEET_SAMPLERS)
    for (const steps of SHEET_STEPS) {
      const { guidanceScale } = context.settings;
      cells.push(...(await draw(context, "samplers", [item], { steps, guidanceScale, sampler })));
    }
  return tileImages(cells, { columns: SHEET_STEPS.length, gap: 4 });
}

/** 64 captions: half of them trained on, a quarter withheld, a quarter compositions. */
export function contactItems(sets: Sets): Item[] {
  return [
    ...spread(sets.training, 32),
    ...spread(sets.withheld, 16),
    ...spread(sets.compositions, 16),
  ];
}

/** What another form of the model makes of the same captions and seeds. */
export interface Comparison {
  readonly pictures: number;
  /** Decibels between the pictures of both, mean and worst. */
  readonly psnr: number;
  readonly worst: number;
  /** Of this form and of the other one, against the real pictures. */
  readonly distance: readonly [own: number, other: number];
  readonly retrieval: readonly [own: Retrieval, other: Retrieval];
}

/** This model against another form of it, on training captions. */
export async function compareWith(
  context: FigureContext,
  other: Pick<DrawContext, "pipeline" | "work">,
  count: number,
): Promise<Comparison> {
  const { settings } = context;
  const { items, compare } = await references(context, count);
  const own = await draw(context, "own", items, settings);
  const others = await draw({ ...context, ...other }, "other", items, settings);
  const values = own.map((image, i) =>
    decibels(imagesToTensor([image]).data, imagesToTensor([others[i]]).data),
  );
  const [a, b] = [await compare(own), await compare(others)];
  return {
    pictures: items.length,
    psnr: mean(values),
    worst: Math.min(...values),
    distance: [a.distance, b.distance],
    retrieval: [a.retrieval, b.retrieval],
  };
}
