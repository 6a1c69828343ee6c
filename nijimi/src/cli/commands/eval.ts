/** `nijimi eval`: figures of a set of pictures, alone or against a reference, as table, JSON and HTML report. */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { NijimiError, unknownName } from "../../errors.ts";
import { home } from "../../internal/home.node.ts";
import { evaluate } from "../../metrics/evaluate/evaluate.ts";
import { htmlReport } from "../../metrics/evaluate/report-html.ts";
import { textReport } from "../../metrics/evaluate/report-text.ts";
import { decodeSnapshot, encodeSnapshot } from "../../metrics/evaluate/snapshot-file.ts";
import {
  type EvaluationOptions,
  type EvaluationReport,
  type FigureName,
  FIGURES,
  type ImageSet,
  type Snapshot,
  type StatisticsInput,
} from "../../metrics/evaluate/types.ts";
import { engineProduct } from "../../metrics/linear-algebra/engine-product.ts";
import { INCEPTION_RESIZES, type InceptionResize } from "../../models/inception-v3.ts";
import { LPIPS_NETS, type LpipsNet } from "../../models/lpips.ts";
import { type Device, DEVICES } from "../../runtime/engine.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import type { Progress } from "../progress.ts";
import { openInput } from "../evaluation/inputs.ts";
import { openNetworks } from "../evaluation/networks.ts";
import { saveStatistics } from "../evaluation/statistics.ts";
import { makeThumbnails } from "../evaluation/thumbnails.ts";

/** Measured when nothing is said and there is a reference. */
const DEFAULT_FIGURES = "fid,kid,prdc,memorisation";

export const command = defineCommand({
  description: "Measure pictures: FID, KID, precision and recall, CLIP score, LPIPS and others",
  options: {
    generated: {
      type: "argument",
      description: "Folder, .tar shards (braces expand), .parquet; with --prompts a model",
    },
    reference: {
      type: "argument",
      optional: true,
      description: "What to compare with: the same kinds, or statistics (.npz)",
    },
    prompts: {
      type: "string",
      hint: "file",
      description: "Measure a model: a picture per line of a .txt, or per caption of a set",
    },
    settings: {
      type: "string",
      default: "",
      hint: "options",
      description: "With --prompts: options of `nijimi generate` in quotes",
    },
    samples: {
      type: "string",
      hint: "folder",
      description: "With --prompts: where its pictures go, and are found again",
    },
    figures: {
      type: "string",
      default: DEFAULT_FIGURES,
      hint: "names",
      description: `Comma-separated: ${FIGURES.join(", ")}`,
    },
    network: {
      type: "string",
      default: "fid-inception",
      hint: "name|file",
      description: "What distances are measured in: fid-inception, clip, pixels, or a weights file",
    },
    resize: {
      type: "choice",
      choices: INCEPTION_RESIZES,
      default: "clean",
      description: "How Inception's input is resized; named in the figures",
    },
    clip: {
      type: "string",
      default: "clip-vit-b-32",
      hint: "name|path",
      description: "CLIP for clip-score, r-precision and aesthetic: a known name, file or folder",
    },
    aesthetic: {
      type: "string",
      hint: "name|file",
      description: "Aesthetic head; by default the one for the CLIP model",
    },
    lpips: {
      type: "choice",
      choices: LPIPS_NETS,
      default: "alex",
      description: "Network of LPIPS",
    },
    limit: {
      type: "number",
      integer: true,
      min: 2,
      description: "Only the first pictures of each set",
    },
    html: { type: "string", hint: "file", description: "Write the HTML report here" },
    saveStatistics: {
      type: "string",
      hint: "file",
      description:
        "Write the generated set's statistics here (.npz) for pytorch-fid, clean-fid and later runs",
    },
    work: {
      type: "string",
      hint: "file",
      description: "Keep the state here while measuring, and go on from it when it is there",
    },
    batchSize: {
      type: "number",
      integer: true,
      min: 1,
      default: 16,
      description: "Pictures at a time",
    },
    sampleLimit: {
      type: "number",
      integer: true,
      min: 2,
      default: 10_000,
      description: "Pictures that figures of pairs look at",
    },
    kidSubsets: {
      type: "number",
      integer: true,
      min: 1,
      default: 100,
      description: "Subsets of kid",
    },
    kidSubsetSize: {
      type: "number",
      integer: true,
      min: 2,
      description: "Samples of a subset of kid",
    },
    neighbours: { type: "number", integer: true, min: 1, default: 3, description: "k of prdc" },
    distractors: {
      type: "number",
      integer: true,
      min: 1,
      default: 99,
      description: "Of r-precision",
    },
    fidResamples: {
      type: "number",
      integer: true,
      min: 0,
      default: 0,
      description: "Bootstrap resamples for an interval of fid; one takes as long as fid",
    },
    seed: {
      type: "number",
      integer: true,
      min: 0,
      default: 0,
      description: "Decides samples and subsets",
    },
    device: { type: "choice", choices: DEVICES, default: "cpu", description: "Where networks run" },
    threads: { type: "number", integer: true, min: 1, description: "Threads of the networks" },
  },
  examples: [
    { command: "eval samples/ photos/ --html report.html", description: "Two folders" },
    { command: "eval samples/ photos.npz --figures fid", description: "Against saved statistics" },
    {
      command: "eval samples/ --figures clip-score,aesthetic",
      description: "Pictures with captions, no reference",
    },
    {
      command:
        'eval v1-5 photos/ --prompts prompts.txt --settings "--steps 25 --sampler DDIM" --figures fid,clip-score',
      description: "A model: its pictures are made first, and kept",
    },
    {
      command: "eval photos/ --save-statistics photos.npz",
      description: "Only the statistics, for later",
    },
    {
      command: 'eval "samples-{00..09}.tar" photos/ --network pixels',
      description: "Shards; a network that needs no weights",
    },
  ],
  async run(values, context) {
    const figures = figuresOf(values.figures, values.reference !== undefined);
    const pictures = await picturesOf(values, context);
    const generated = await openInput(pictures, values.limit);
    if ("statistics" in generated)
      throw new NijimiError("option", `${values.generated}: statistics can only be the reference.`);
    const reference =
      values.reference === undefined ? undefined : await openInput(values.reference, values.limit);
    const wantsStatistics = values.saveStatistics !== undefined;
    if (figures.length === 0 && !wantsStatistics)
      throw new NijimiError(
        "option",
        "There is no reference, so that nothing can be compared; name one, or --figures that need none.",
      );
    const session = {
      device: values.device as Device,
      ...(values.threads !== undefined && { threads: values.threads }),
    };
    const networks = await openNetworks(wantsStatistics ? [...figures, "fid"] : figures, {
      models: home(context.env).models,
      network: values.network,
      resize: values.resize as InceptionResize,
      clip: values.clip,
      aesthetic: values.aesthetic,
      lpips: values.lpips as LpipsNet,
      session,
    });
    const engine = engineProduct(values.threads === undefined ? {} : { threads: values.threads });
    try {
      const {
        batchSize,
        sampleLimit,
        kidSubsets,
        kidSubsetSize,
        neighbours,
        distractors,
        fidResamples,
        seed,
      } = values;
      const options: EvaluationOptions = {
        figures,
        networks: networks.opened,
        batchSize,
        sampleLimit,
        kidSubsets,
        kidSubsetSize,
        neighbours,
        distractors,
        fidResamples,
        seed,
        product: engine.product,
        signal: context.signal,
      };
      if (wantsStatistics)
        await saveStatistics(values.saveStatistics!, generated, options, context);
      if (figures.length === 0) return;
      const report = await measure(generated, reference, options, values.work, context);
      if (values.html !== undefined) {
        const others =
          reference !== undefined && !("statistics" in reference) ? reference : undefined;
        const thumbnails = await makeThumbnails(report, generated, others, context.signal);
        await writeFile(values.html, htmlReport(report, { thumbnails }));
        context.say(`Report: ${values.html}`);
      }
      context.result(report, textReport);
    } finally {
      await engine.dispose();
      await networks.dispose();
    }
  },
});

/** What is measured. */
interface Subject {
  readonly generated: string;
  readonly prompts?: string;
  readonly settings: string;
  readonly samples?: string;
  readonly limit?: number;
  readonly seed: number;
}

/** The path of the set to measure; a model's is made first. */
async function picturesOf(
  { generated, prompts, settings, samples, limit, seed }: Subject,
  context: CommandContext,
): Promise<string> {
  if (prompts === undefined) {
    if (settings !== "" || samples !== undefined)
      throw new NijimiError("option", "--settings and --samples go with --prompts.");
    return generated;
  }
  const { makeSamples } = await import("../evaluation/samples.ts");
  const request = { model: generated, prompts, settings, folder: samples, limit, seed };
  return makeSamples(request, context);
}

function figuresOf(text: string, hasReference: boolean): FigureName[] {
  if (text === DEFAULT_FIGURES && !hasReference) return [];
  const names = text.split(",").map((name) => name.trim());
  for (const name of names)
    if (!FIGURES.includes(name as FigureName)) throw unknownName("figure", name, FIGURES);
  return names as FigureName[];
}

/** Runs the evaluation with progress, snapshots and warnings. */
async function measure(
  generated: ImageSet,
  reference: ImageSet | StatisticsInput | undefined,
  options: EvaluationOptions,
  work: string | undefined,
  { say, progress }: CommandContext,
): Promise<EvaluationReport> {
  const resume = work === undefined ? undefined : await readSnapshot(work);
  if (resume !== undefined) say(`Going on from ${work}`);
  let display: Progress | undefined;
  for await (const event of evaluate(generated, reference, { ...options, resume }))
    switch (event.kind) {
      case "stage-start":
        display = progress({ label: event.stage, unit: "picture", total: event.total });
        break;
      case "stage-progress":
        display?.update(event.done);
        break;
      case "stage-end":
        display?.end();
        break;
      case "snapshot":
        if (work !== undefined) await writeSnapshot(work, event.snapshot);
        break;
      case "figure-start":
        say(`Measuring ${event.figure} …`);
        break;
      case "warning":
        say(`Warning: ${event.message}`);
        break;
      case "report":
        if (work !== undefined) await rm(work, { force: true });
        return event.report;
    }
  throw new NijimiError("internal", "internal: an evaluation ended without a report");
}

async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  try {
    return decodeSnapshot(await readFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Written beside and renamed, so that an interruption leaves the last one whole. */
async function writeSnapshot(path: string, snapshot: Snapshot): Promise<void> {
  await writeFile(`${path}.new`, encodeSnapshot(snapshot));
  await rename(`${path}.new`, path);
}
