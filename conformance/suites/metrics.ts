/**
 * Metrics over given features, logits, embeddings, images and masks. A case's kind is told by the figures it asks
 * for: its `function` is a formula in words.
 */
import {
  clipScores,
  diceCoefficient,
  frechetDistance,
  frechetDistanceOfFeatures,
  HESSEL_WEIGHT,
  inceptionScore,
  measure,
  mmd2,
  meanSquaredError,
  moments,
  multiScaleStructuralSimilarity,
  pairedCosines,
  peakSignalToNoise,
  precisionRecall,
  rPrecision,
  structuralSimilarity,
} from "nijimi/metrics";
import { float32, type Tensor, tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";

type Tensors = Readonly<Record<string, Tensor>>;
/** Figures by the name after `f64.` or `out.`. */
type Figures = Readonly<Record<string, number | ArrayLike<number>>>;

interface Kind {
  /** Tensors whose presence means this kind. */
  readonly wants: readonly string[];
  measure(tensors: Tensors, c: Case): Promise<Figures> | Figures;
}

const KINDS: readonly Kind[] = [
  { wants: ["f64.fid"], measure: fid },
  { wants: ["out.fid_ab"], measure: fidOfThree },
  { wants: ["f64.kid_mean"], measure: kid },
  { wants: ["f64.split_scores", "in.logits"], measure: score },
  { wants: ["f64.precision", "f64.density"], measure: manifolds },
  { wants: ["in.image_embeds", "in.text_embeds"], measure: clip },
  { wants: ["f64.psnr"], measure: quality },
  { wants: ["f64.ssim"], measure: quality },
  { wants: ["out.coeff", "out.loss"], measure: dice },
];

export const suite: Suite = {
  kind: "metrics",
  accepts: (c) => kindOf(c) !== undefined,
  run: async (c) => {
    const tensors = c.tensors();
    const figures = await kindOf(c)!.measure(tensors, c);
    return Object.keys(tensors)
      .filter((name) => /^(f64|out)\./.test(name))
      .map((name) => compareFigure(c, name, figures[name.replace(/^(f64|out)\./, "")]));
  },
};

function kindOf({ json }: Case): Kind | undefined {
  const names = Object.keys(json.tensors ?? {});
  const own =
    json.section === "metrics" ||
    json.function === "utils.dice_score" ||
    json.function === "pytorch_fid.fid_score.calculate_frechet_distance";
  return own ? KINDS.find(({ wants }) => wants.every((name) => names.includes(name))) : undefined;
}

function compareFigure(
  c: Case,
  name: string,
  figure: number | ArrayLike<number> | undefined,
): Comparison {
  if (figure === undefined)
    return { name, error: Infinity, passed: false, message: "not computed" };
  const expected = c.tensors()[name];
  const values = typeof figure === "number" ? [figure] : figure;
  const got = tensor("float64", shapeLike(expected, values.length), Float64Array.from(values));
  const rule = name.endsWith("_radii") ? { atol: 1e-5 } : c.json.tolerance;
  return compareTensors(name, got, expected, rule);
}

/** The reference's shape where the number of values allows it. */
function shapeLike({ shape }: Tensor, count: number): readonly number[] {
  return shape.reduce((a, b) => a * b, 1) === count ? shape : [count];
}

async function fid(tensors: Tensors): Promise<Figures> {
  const [x, y] = [tensors["in.features1"], tensors["in.features2"]];
  const first = await measure(moments(x.shape[1]), [x]);
  const second = await measure(moments(y.shape[1]), [y]);
  return {
    mean1: first.mean,
    cov1: first.covariance,
    mean2: second.mean,
    cov2: second.covariance,
    fid: await frechetDistance(first, second),
    fid_self: await frechetDistance(first, first),
  };
}

async function fidOfThree(tensors: Tensors): Promise<Figures> {
  const [a, b, few] = [tensors["in.a"], tensors["in.b"], tensors["in.few"]];
  return {
    fid_ab: await frechetDistanceOfFeatures(a, b),
    fid_aa: await frechetDistanceOfFeatures(a, a),
    ...(few && { fid_a_few: await frechetDistanceOfFeatures(a, few) }),
  };
}

async function kid(tensors: Tensors, { json }: Case): Promise<Figures> {
  const [x, y] = [tensors["in.features1"], tensors["in.features2"]];
  const config = (json.config ?? {}) as Record<string, number | null | undefined>;
  const [degree, gamma, coef0] = ["degree", "gamma", "coef0"].map(
    (key) => config[key] ?? undefined,
  );
  const kernel = { degree, gamma, coef0 };
  const subsets = rowsOf(tensors["in.subset1"]).map((indices, i) =>
    mmd2(take(x, indices), take(y, rowsOf(tensors["in.subset2"])[i]), kernel),
  );
  const values = Float64Array.from(await Promise.all(subsets));
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return {
    mmd2_full: await mmd2(x, y, kernel),
    mmd2_subsets: values,
    kid_mean: mean,
    kid_std: Math.sqrt(variance),
  };
}

function score(tensors: Tensors, { json }: Case): Figures {
  const splits = (json.config as { splits?: number } | undefined)?.splits;
  const { mean, std, splitScores } = inceptionScore(tensors["in.logits"], { splits });
  return { mean, std, split_scores: splitScores };
}

async function manifolds(tensors: Tensors, { json }: Case): Promise<Figures> {
  const k = (json.config as { k?: number } | undefined)?.k;
  const found = await precisionRecall(tensors["in.real"], tensors["in.fake"], { k });
  return { ...found, real_radii: found.realRadii, fake_radii: found.generatedRadii };
}

async function clip(tensors: Tensors, { json }: Case): Promise<Figures> {
  const [images, texts] = [tensors["in.image_embeds"], tensors["in.text_embeds"]];
  const { distractors, r } = (json.config ?? {}) as Record<string, number | undefined>;
  const scores = clipScores(images, texts);
  const precision = await rPrecision(images, texts, { distractors, r });
  return {
    cosine: pairedCosines(images, texts),
    score: scores,
    mean: scores.reduce((a, b) => a + b, 0) / scores.length,
    hessel_2_5: clipScores(images, texts, { weight: HESSEL_WEIGHT }),
    r_precision_image_to_text: precision.imageToText,
    r_precision_text_to_image: precision.textToImage,
  };
}

function quality(tensors: Tensors, { json }: Case): Figures {
  const [a, b] = [tensors["in.a"], tensors["in.b"]];
  const range = (json.config as { data_range?: number } | undefined)?.data_range;
  const wants = (name: string): boolean => tensors[`f64.${name}`] !== undefined;
  return {
    mse: meanSquaredError(a, b),
    psnr: peakSignalToNoise(a, b, { range }),
    ...(wants("ssim") && { ssim: structuralSimilarity(a, b, { range }) }),
    ...(wants("ms_ssim") && { ms_ssim: multiScaleStructuralSimilarity(a, b, { range }) }),
  };
}

function dice(tensors: Tensors): Figures {
  const [a, b] = [tensors["in.a"], tensors["in.b"]];
  const none = float32(a.shape, new Float32Array(a.data.length));
  return {
    coeff: diceCoefficient(a, b),
    coeff_batch: diceCoefficient(a, b, { wholeBatch: true }),
    loss: 1 - diceCoefficient(a, b, { wholeBatch: true }),
    empty: diceCoefficient(none, none),
  };
}

function rowsOf({ shape: [rows, columns], data }: Tensor): number[][] {
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_unused, j) => Number(data[i * columns + j])),
  );
}

function take(features: Tensor, indices: readonly number[]): Tensor {
  const d = features.shape[1];
  const data = toFloat64(features);
  return tensor(
    "float64",
    [indices.length, d],
    Float64Array.from(indices.flatMap((i) => [...data.subarray(i * d, (i + 1) * d)])),
  );
}
