/** What is gathered from the pictures in one pass over a set, for the figures that are wanted. */
import { NijimiError } from "../../errors.ts";
import { toFloat32 } from "../../tensor/convert.ts";
import { float32, type Tensor, tensor } from "../../tensor/tensor.ts";
import { clipScores } from "../clip-score.ts";
import { featureSample, type FeatureSample } from "../feature-sample.ts";
import { type InceptionScore, streamingInceptionScore } from "../inception-score.ts";
import { type GaussianStatistics, moments } from "../moments.ts";
import { kindOf, type Rgb, stackRgb, toRgb } from "../networks/rgb.ts";
import type { NetworkOutputs } from "../networks/feature-network.ts";
import { peakSignalToNoise } from "../peak-signal-to-noise.ts";
import { scalarSummary, type ScalarSummary } from "../scalar-summary.ts";
import type { StreamingMetric } from "../streaming.ts";
import { multiScaleStructuralSimilarity, structuralSimilarity } from "../structural-similarity.ts";
import type {
  EvaluationNetworks,
  EvaluationOptions,
  FigureName,
  SetItem,
  StageName,
} from "./types.ts";

/** Some pictures with what networks say of them; what no collector asks for is absent. */
export interface CollectedBatch {
  readonly items: readonly SetItem[];
  readonly pictures: readonly Rgb[];
  readonly outputs?: NetworkOutputs;
  /** Image embeddings [N, D]. */
  readonly imageEmbeddings?: Tensor;
  /** Of the captions [N, D]. */
  readonly textEmbeddings?: Tensor;
  /** Counterparts of the pictures, in the stage of pairs. */
  readonly partners?: readonly Rgb[];
}

/** What a stage has gathered; what was not asked for is absent. */
export interface StageResults {
  readonly pictures: PictureSummary;
  readonly moments?: GaussianStatistics;
  readonly spatialMoments?: GaussianStatistics;
  readonly score?: InceptionScore;
  readonly sample?: FeatureSample;
  readonly clipScore?: ScalarSummary;
  /** Rows [image embedding, text embedding]. */
  readonly clipPairs?: FeatureSample;
  readonly aesthetic?: ScalarSummary;
  readonly psnr?: ScalarSummary;
  readonly ssim?: ScalarSummary;
  readonly msSsim?: ScalarSummary;
  readonly lpips?: ScalarSummary;
}

/** Sizes and kinds of pictures. */
export interface PictureSummary {
  readonly count: number;
  readonly grey: number;
  readonly transparent: number;
  readonly sizes: Readonly<Record<string, number>>;
}

export type Collector = StreamingMetric<CollectedBatch, unknown, unknown>;

/** Decibels that equal pictures count as: a mean with infinity in it says nothing. */
export const IDENTICAL_DECIBELS = 100;

/** Collectors of a stage by the name of their result. */
export function collectorsOf(
  stage: StageName,
  options: EvaluationOptions,
): Record<string, Collector> {
  const made = stage === "pairs" ? pairCollectors(options) : setCollectors(stage, options);
  const wanted = Object.entries(made).filter(([, collector]) => collector !== undefined);
  return Object.fromEntries(wanted) as Record<string, Collector>;
}

type Made = { readonly [K in keyof StageResults]?: Collector | undefined };

function setCollectors(stage: "generated" | "reference", options: EvaluationOptions): Made {
  const { networks, sampleLimit = 10_000, seed = 0 } = options;
  const wants = (...figures: FigureName[]): boolean =>
    figures.some((one) => options.figures.includes(one));
  const { features, spatial, logits } = networks.features?.dimensions ?? { features: 0 };
  const isGenerated = stage === "generated";
  const embedding = networks.clip?.dimensions.features ?? 0;
  const paired = wants("kid", "prdc", "memorisation");
  // Fréchet distances of few pictures come with a measure of their bias, which a small sample gives.
  const limit = Math.max(paired ? sampleLimit : 0, wants("fid") ? features : 0);
  return {
    pictures: pictureCollector(),
    moments: wants("fid") ? onOutput("features", moments(features, options)) : undefined,
    spatialMoments:
      wants("sfid") && spatial !== undefined
        ? onOutput("spatial", moments(spatial, options))
        : undefined,
    score:
      wants("is") && isGenerated && logits !== undefined
        ? onOutput("logits", streamingInceptionScore(logits))
        : undefined,
    sample:
      limit > 0
        ? on(featureSample(features, limit, { seed }), ({ items, outputs }) => ({
            rows: outputs!.features,
            names: items.map(({ key }) => key),
          }))
        : undefined,
    clipScore: wants("clip-score") && isGenerated ? scalars(options, pairedScores) : undefined,
    clipPairs:
      wants("r-precision") && isGenerated
        ? on(featureSample(2 * embedding, sampleLimit, { seed }), ({ items, ...batch }) => ({
            rows: sideBySide(batch.imageEmbeddings!, batch.textEmbeddings!),
            names: items.map(({ key }) => key),
          }))
        : undefined,
    aesthetic:
      wants("aesthetic") && isGenerated
        ? scalars(options, ({ imageEmbeddings }) => networks.aesthetic!.score(imageEmbeddings!))
        : undefined,
  };
}

function pairCollectors(options: EvaluationOptions): Made {
  const { figures, networks } = options;
  const wants = (figure: FigureName): boolean => figures.includes(figure);
  const compare = (measure: (a: Rgb, b: Rgb) => number) =>
    scalars(options, ({ pictures, partners }) =>
      Float64Array.from(pictures, (picture, i) => measure(picture, partners![i])),
    );
  return {
    psnr: wants("psnr") ? compare(decibels) : undefined,
    ssim: wants("ssim") ? compare((a, b) => structuralSimilarity(planes(a), planes(b))) : undefined,
    msSsim: wants("ms-ssim")
      ? compare((a, b) => multiScaleStructuralSimilarity(planes(a), planes(b)))
      : undefined,
    lpips: wants("lpips")
      ? scalars(options, ({ pictures, partners }) =>
          networks.perceptual!.compare(
            pictures.map((picture, i) => [picture, partners![i]] as const),
          ),
        )
      : undefined,
  };
}

/** Which networks a stage runs. */
export function networksOf(
  stage: StageName,
  collectors: Readonly<Record<string, Collector>>,
): { readonly features: boolean; readonly images: boolean; readonly texts: boolean } {
  const has = (...names: (keyof StageResults)[]): boolean =>
    names.some((name) => name in collectors);
  return {
    features: stage !== "pairs" && has("moments", "spatialMoments", "score", "sample"),
    images: has("clipScore", "clipPairs", "aesthetic"),
    texts: has("clipScore", "clipPairs"),
  };
}

/** Runs the networks that the collectors of a stage ask for. */
export async function makeBatch(
  items: readonly SetItem[],
  partners: readonly SetItem[] | undefined,
  networks: EvaluationNetworks,
  wanted: ReturnType<typeof networksOf>,
): Promise<CollectedBatch> {
  const pictures = items.map(({ image }) => toRgb(image));
  const outputs = wanted.features ? await networks.features!.embed(pictures) : undefined;
  const shared = networks.clip !== undefined && networks.clip === networks.features;
  const imageEmbeddings = !wanted.images
    ? undefined
    : ((shared ? outputs : undefined) ?? (await networks.clip!.embed(pictures))).features;
  return {
    items,
    pictures,
    ...(outputs && { outputs }),
    ...(imageEmbeddings && { imageEmbeddings }),
    ...(wanted.texts && { textEmbeddings: await networks.clip!.embedTexts(captionsOf(items)) }),
    ...(partners && { partners: partnersOf(pictures, items, partners) }),
  };
}

function captionsOf(items: readonly SetItem[]): string[] {
  return items.map(({ key, caption }) => {
    if (caption !== undefined && caption !== "") return caption;
    throw new NijimiError(
      "format",
      `The picture ${key} has no caption; clip-score and r-precision need one for every picture.`,
    );
  });
}

function partnersOf(
  pictures: readonly Rgb[],
  items: readonly SetItem[],
  others: readonly SetItem[],
): Rgb[] {
  return others.map(({ key, image }, i) => {
    const [a, b] = [pictures[i], toRgb(image)];
    if (a.width === b.width && a.height === b.height) return b;
    throw new NijimiError(
      "shape",
      `${items[i].key} is ${a.width}×${a.height} and its counterpart ${key} ${b.width}×${b.height}; ` +
        "paired figures need equal sizes.",
    );
  });
}

function pairedScores({ imageEmbeddings, textEmbeddings }: CollectedBatch): Float64Array {
  return clipScores(imageEmbeddings!, textEmbeddings!);
}

function decibels(a: Rgb, b: Rgb): number {
  const flat = ({ data }: Rgb) => tensor("uint8", [data.length], data);
  return Math.min(IDENTICAL_DECIBELS, peakSignalToNoise(flat(a), flat(b)));
}

/** [3, H, W] */
function planes(picture: Rgb): Tensor<"uint8"> {
  const { shape, data } = stackRgb([picture]);
  return tensor("uint8", shape.slice(1), data);
}

function sideBySide(a: Tensor, b: Tensor): Tensor<"float32"> {
  const [rows, width] = a.shape;
  const [x, y] = [toFloat32(a), toFloat32(b)];
  const out = new Float32Array(2 * rows * width);
  for (let i = 0; i < rows; i++) {
    out.set(x.subarray(i * width, (i + 1) * width), 2 * i * width);
    out.set(y.subarray(i * width, (i + 1) * width), (2 * i + 1) * width);
  }
  return float32([rows, 2 * width], out);
}

/** A metric that takes its batches out of the collected ones. */
function on<Input, State, Result>(
  metric: StreamingMetric<Input, State, Result>,
  select: (batch: CollectedBatch) => Input | Promise<Input>,
): Collector {
  return {
    start: () => metric.start(),
    add: async (state, batch) => metric.add(state as State, await select(batch)),
    merge: (a, b) => metric.merge(a as State, b as State),
    finish: (state) => metric.finish(state as State),
  };
}

function onOutput<State, Result>(
  name: keyof NetworkOutputs,
  metric: StreamingMetric<Tensor, State, Result>,
): Collector {
  return on(metric, ({ outputs }) => outputs![name]!);
}

function scalars(
  { seed = 0 }: EvaluationOptions,
  measure: (batch: CollectedBatch) => Float64Array | Promise<Float64Array>,
): Collector {
  return on(scalarSummary({ seed }), async (batch) => {
    const values = await measure(batch);
    return batch.items.map(({ key }, i) => ({ name: key, value: values[i] }));
  });
}

interface PictureState {
  count: number;
  grey: number;
  transparent: number;
  sizes: Record<string, number>;
}

function pictureCollector(): Collector {
  const metric: StreamingMetric<CollectedBatch, PictureState, PictureSummary> = {
    start: () => ({ count: 0, grey: 0, transparent: 0, sizes: {} }),
    add: (state, { items }) => {
      for (const { image } of items) {
        const { isGrey, isTransparent } = kindOf(image);
        const size = `${image.width}×${image.height}`;
        state.count++;
        state.grey += Number(isGrey);
        state.transparent += Number(isTransparent);
        state.sizes[size] = (state.sizes[size] ?? 0) + 1;
      }
      return state;
    },
    merge: (a, b) => {
      for (const [size, count] of Object.entries(b.sizes))
        a.sizes[size] = (a.sizes[size] ?? 0) + count;
      return {
        ...a,
        count: a.count + b.count,
        grey: a.grey + b.grey,
        transparent: a.transparent + b.transparent,
      };
    },
    finish: (state) => state,
  };
  return on(metric, (batch) => batch);
}
