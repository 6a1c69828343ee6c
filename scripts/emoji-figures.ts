/**
 * Measures the embedded model: every figure of its card, the plots and the sheets.
 *
 * `npm run emoji:figures -- --data noto-emoji-128.tar.gz [--only quality,sweep] [--training 400] [--work DIR]`
 *
 * Figures go to `figures.json` beside the model, where those that are not measured now stay as they are, and the
 * card is written from it. Pictures are kept in the work folder: a run that was stopped goes on, and
 * `nijimi eval FOLDER REFERENCE --network clip --clip nijimi/models/emoji-judge --figures fid,r-precision` measures them too.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { encodeImage, tileImages } from "nijimi/images";
import { openClipFolder } from "nijimi/metrics";
import { loadPipeline, type PipelineOptions } from "nijimi/pipelines";
import { home } from "../nijimi/src/internal/home.node.ts";
import { type CardFigures, modelCard, readVerdicts } from "./emoji/card.ts";
import { draw } from "./emoji/draw.ts";
import {
  compareWith,
  contactItems,
  type FigureContext,
  guidanceSweep,
  quality,
  reconstruction,
  samplerSheet,
} from "./emoji/figures.ts";
import { trainingRecord } from "./emoji/hours.ts";
import { readSets, type Sets, spread } from "./emoji/sets.ts";
import { sweepChart } from "./emoji/sweep-chart.ts";

const PARTS = [
  "quality",
  "reconstruction",
  "sweep",
  "samplers",
  "contact",
  "comparison",
  "trainings",
] as const;
type Part = (typeof PARTS)[number];
const RECIPES = ["emoji-autoencoder", "emoji-clip", "emoji", "emoji-judge"];

const root = path.join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    data: { type: "string" },
    model: { type: "string", default: path.join(root, "nijimi/models/emoji") },
    judge: { type: "string", default: path.join(root, "nijimi/models/emoji-judge") },
    /** Another form of the model, for `comparison`: by default the same folder. */
    other: { type: "string" },
    /** JSON of options that the other form is loaded with. */
    "other-options": { type: "string", default: '{"precision":"int8"}' },
    output: { type: "string" },
    images: { type: "string", default: path.join(root, "docs/guide/images") },
    work: { type: "string", default: path.join(home(process.env).cache, "emoji-figures") },
    trainings: { type: "string", default: path.join(home(process.env).root, "training") },
    only: { type: "string", default: PARTS.join() },
    /** Captions of each group; all where there are fewer. */
    training: { type: "string", default: "400" },
    withheld: { type: "string", default: "1000" },
    /** Captions of a point of the sweep, and of the comparison. */
    sweep: { type: "string", default: "200" },
    steps: { type: "string", default: "25" },
    guidance: { type: "string", default: "3" },
    threads: { type: "string" },
  },
});

const parts = values.only.split(",");
for (const part of parts)
  if (!(PARTS as readonly string[]).includes(part))
    throw new Error(`--only ${part}: expected some of ${PARTS.join(", ")}.`);
if (values.data === undefined) throw new Error("--data: the emoji shards are needed.");
const output = values.output ?? values.model;
const wants = (part: Part) => parts.includes(part);
const options: PipelineOptions = values.threads ? { threads: Number(values.threads) } : {};

const all = await readSets(values.data);
const sets: Sets = {
  training: spread(all.training, Number(values.training)),
  withheld: spread(all.withheld, Number(values.withheld)),
  compositions: spread(all.compositions, Number(values.withheld)),
};
const pipeline = await loadPipeline(values.model, options);
const judge = await openClipFolder(values.judge, options);
const context: FigureContext = {
  pipeline,
  judge,
  sets,
  work: path.join(values.work, await identityOf(values.model, {})),
  say: (line) => console.error(line),
  settings: { steps: Number(values.steps), guidanceScale: Number(values.guidance) },
};
const figuresFile = path.join(output, "figures.json");
let figures = await readFigures();

if (wants("reconstruction"))
  await keep({ autoencoder: await reconstruction(pipeline, sets.withheld) });
if (wants("contact")) await contactSheet();
if (wants("samplers")) {
  const item = all.training.find(({ caption }) => caption === "red apple") ?? all.training[0];
  await writePng("emoji-samplers.png", await samplerSheet(context, item));
  await keep({ samplers: item.caption });
}
if (wants("quality")) await keep({ quality: await quality(context) });
if (wants("sweep")) {
  await keep({ sweep: await guidanceSweep(context, Number(values.sweep)) });
  await write(
    path.join(values.images, "emoji-guidance.svg"),
    sweepChart(figures.sweep ?? [], judge.name),
  );
}
if (wants("comparison")) await comparison();
if (wants("trainings")) {
  const found = await Promise.all(
    RECIPES.map((recipe) => trainingRecord(values.trainings, recipe)),
  );
  const trainings = found.filter((record) => record !== undefined);
  if (trainings.length > 0) await keep({ trainings });
}
await write(path.join(output, "README.md"), modelCard(figures, await readVerdicts(output)));
await judge.dispose();
await pipeline.close();

async function contactSheet(): Promise<void> {
  const items = contactItems(all);
  const images = await draw(context, "contact", items, context.settings);
  await writePng("emoji-contact.png", tileImages(images, { columns: 8, gap: 4 }));
  await keep({ contact: items.map(({ caption }) => caption) });
}

async function comparison(): Promise<void> {
  const changed = { ...options, ...(JSON.parse(values["other-options"]) as PipelineOptions) };
  const other = await loadPipeline(values.other ?? values.model, changed);
  const work = path.join(values.work, await identityOf(values.other ?? values.model, changed));
  const found = await compareWith(context, { pipeline: other, work }, Number(values.sweep));
  await other.close();
  const what = [values.other && path.basename(values.other), values["other-options"]].join(" ");
  await keep({ comparison: { what: what.trim(), ...found } });
}

/** Differs where the U-Net's weights or the options do: pictures of another model are not taken for this one's. */
async function identityOf(model: string, changes: object): Promise<string> {
  const weights = await readFile(path.join(model, "unet/diffusion_pytorch_model.safetensors"));
  const hash = createHash("sha256").update(weights).update(JSON.stringify(changes));
  return hash.digest("hex").slice(0, 12);
}

async function readFigures(): Promise<CardFigures> {
  const text = await readFile(figuresFile, "utf8").catch(() => "{}");
  return JSON.parse(text) as CardFigures;
}

async function keep(found: CardFigures): Promise<void> {
  figures = { ...figures, ...found };
  await write(figuresFile, `${JSON.stringify(figures, null, 2)}\n`);
}

async function writePng(name: string, image: Parameters<typeof encodeImage>[0]): Promise<void> {
  await write(path.join(values.images, name), await encodeImage(image));
}

async function write(file: string, content: string | Uint8Array): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.new`, content);
  await rename(`${file}.new`, file);
}
