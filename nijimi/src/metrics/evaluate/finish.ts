/** From what was gathered to figures: one rule per figure. */
import { NijimiError } from "../../errors.ts";
import { float32, type Tensor } from "../../tensor/tensor.ts";
import { bootstrap, quantile } from "../bootstrap.ts";
import { rPrecision } from "../clip-score.ts";
import type { FeatureSample } from "../feature-sample.ts";
import { frechetDistance } from "../frechet-distance.ts";
import { kernelDistance } from "../kernel-distance.ts";
import { takeRows } from "../matrix.ts";
import { memorisation } from "../memorisation.ts";
import { type GaussianStatistics, moments } from "../moments.ts";
import { figureName } from "../networks/feature-network.ts";
import { precisionRecall } from "../precision-recall.ts";
import type { ScalarSummary } from "../scalar-summary.ts";
import { measure } from "../streaming.ts";
import { IDENTICAL_DECIBELS, type StageResults } from "./collectors.ts";
import type {
  Distribution,
  EvaluationOptions,
  FigureName,
  NeighbourRow,
  Ranking,
  ReportedFigure,
  StageName,
} from "./types.ts";

/** Neighbours shown for a picture. */
const SHOWN_NEIGHBOURS = 3;
/** Pictures in a ranking, and rows of neighbours. */
const SHOWN_PICTURES = 12;

/** What the rules work on. */
export interface Gathered {
  readonly stages: Partial<Record<StageName, StageResults>>;
  /** From pictures or from a file. */
  readonly referenceMoments?: GaussianStatistics;
  readonly referenceSpatialMoments?: GaussianStatistics;
  readonly options: EvaluationOptions;
}

/** What a figure adds to the report. */
export interface Contribution {
  readonly figures: readonly ReportedFigure[];
  readonly distributions?: readonly Distribution[];
  readonly rankings?: readonly Ranking[];
  readonly neighbours?: readonly NeighbourRow[];
  readonly warnings?: readonly string[];
}

type Rule = (gathered: Gathered) => Promise<Contribution> | Contribution;

export const RULES: Readonly<Record<FigureName, Rule>> = {
  fid,
  sfid: async (gathered) => {
    const { options, referenceSpatialMoments } = gathered;
    const generated = gathered.stages.generated!.spatialMoments!;
    const value = await frechetDistance(generated, referenceSpatialMoments!, options);
    const name = figureName("sfid", options.networks.features!);
    return { figures: [{ figure: "sfid", name, value, better: "lower" }] };
  },
  kid,
  is: ({ stages, options }) => {
    const { mean, std, splitScores } = stages.generated!.score!;
    const name = figureName("is", options.networks.features!);
    const conditions = `${splitScores.length} splits by hash`;
    return { figures: [{ figure: "is", name, value: mean, std, better: "higher", conditions }] };
  },
  prdc,
  memorisation: copies,
  "clip-score": ({ stages, options }) =>
    scalar(
      "clip-score",
      `CLIP score (${options.networks.clip!.name})`,
      stages.generated!.clipScore!,
      {
        better: "higher",
        conditions: "100 · max(cos, 0)",
      },
    ),
  "r-precision": retrieval,
  aesthetic: ({ stages, options }) =>
    scalar(
      "aesthetic",
      `Aesthetic score (${options.networks.aesthetic!.name})`,
      stages.generated!.aesthetic!,
      {
        better: "higher",
      },
    ),
  psnr: ({ stages }) =>
    scalar("psnr", "PSNR", stages.pairs!.psnr!, {
      better: "higher",
      conditions: `dB, equal pictures count as ${IDENTICAL_DECIBELS}`,
    }),
  ssim: ({ stages }) => scalar("ssim", "SSIM", stages.pairs!.ssim!, { better: "higher" }),
  "ms-ssim": ({ stages }) =>
    scalar("ms-ssim", "MS-SSIM", stages.pairs!.msSsim!, { better: "higher" }),
  lpips: ({ stages, options }) =>
    scalar("lpips", options.networks.perceptual!.name, stages.pairs!.lpips!, { better: "lower" }),
};

async function fid({
  stages,
  referenceMoments: reference,
  options,
}: Gathered): Promise<Contribution> {
  const generated = stages.generated!.moments!;
  const name = figureName("fid", options.networks.features!);
  const value = await frechetDistance(generated, reference!, options);
  const { fidResamples = 0, seed = 0 } = options;
  const sample = stages.generated!.sample;
  const interval =
    fidResamples > 0 && sample !== undefined
      ? await bootstrap(
          sample.names.length,
          async (rows) =>
            frechetDistance(await momentsOf(take(sample, rows), options), reference!, options),
          { resamples: fidResamples, seed },
        )
      : undefined;
  const warnings = [
    await biasWarning(name, "generated", generated, stages.generated?.sample, options),
    await biasWarning(name, "reference", reference!, stages.reference?.sample, options),
  ];
  return {
    figures: [{ figure: "fid", name, value, better: "lower", ...(interval && { interval }) }],
    warnings: warnings.filter((warning) => warning !== undefined),
  };
}

/**
 * Fewer pictures than dimensions make a singular covariance and a large distance between any two sets: how large
 * is shown by two halves of this one.
 */
async function biasWarning(
  name: string,
  stage: string,
  { count, dimensions }: GaussianStatistics,
  sample: FeatureSample | undefined,
  options: EvaluationOptions,
): Promise<string | undefined> {
  if (count === undefined || count >= dimensions) return undefined;
  const start = `${name}: the ${stage} set has ${count} pictures, fewer than the ${dimensions} dimensions of its features, so that the figure is biased upwards`;
  const advice =
    "Use more pictures (10,000 are usual), compare only figures of equal counts, or look at kid, which has no such bias.";
  const half = Math.floor((sample?.names.length ?? 0) / 2);
  if (sample === undefined || half < 2) return `${start}. ${advice}`;
  const rows = Array.from({ length: 2 * half }, (_, i) => i);
  const first = await momentsOf(take(sample, rows.slice(0, half)), options);
  const second = await momentsOf(take(sample, rows.slice(half)), options);
  const floor = await frechetDistance(first, second, options);
  return `${start}: two halves of it (${half} pictures each) are ${floor.toFixed(2)} apart. ${advice}`;
}

function momentsOf(features: Tensor, options: EvaluationOptions): Promise<GaussianStatistics> {
  return measure(moments(features.shape[1], options), [features]);
}

async function kid({ stages, options }: Gathered): Promise<Contribution> {
  const [generated, reference] = [stages.generated!.sample!, stages.reference!.sample!];
  const { kidSubsets: subsets, kidSubsetSize: subsetSize, seed } = options;
  const found = await kernelDistance(generated.rows, reference.rows, {
    ...options,
    subsets,
    subsetSize,
    seed,
  });
  const name = figureName("kid", options.networks.features!);
  const conditions = `${found.values.length} subsets of ${found.subsetSize}`;
  return {
    figures: [
      { figure: "kid", name, value: found.mean, std: found.std, better: "lower", conditions },
    ],
    warnings: sampledWarning(name, generated, reference),
  };
}

async function prdc({ stages, options }: Gathered): Promise<Contribution> {
  const [generated, reference] = [stages.generated!.sample!, stages.reference!.sample!];
  const k = options.neighbours ?? 3;
  const found = await precisionRecall(reference.rows, generated.rows, { ...options, k });
  const { name } = options.networks.features!;
  const conditions = `k = ${k}, ${generated.names.length} generated and ${reference.names.length} reference pictures`;
  const figure = (label: string, value: number): ReportedFigure => ({
    figure: "prdc",
    name: `${label} (${name})`,
    value,
    better: "higher",
    conditions,
  });
  const byRealism = Array.from(found.realism, (value, i) => ({ name: generated.names[i], value }));
  byRealism.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1));
  return {
    figures: [
      figure("Precision", found.precision),
      figure("Recall", found.recall),
      figure("Density", found.density),
      figure("Coverage", found.coverage),
    ],
    rankings: [
      { name: "Most realistic", pictures: byRealism.slice(0, SHOWN_PICTURES) },
      { name: "Least realistic", pictures: byRealism.slice(-SHOWN_PICTURES).reverse() },
    ],
    warnings: sampledWarning("Precision and recall", generated, reference),
  };
}

async function copies({ stages, options }: Gathered): Promise<Contribution> {
  const [generated, reference] = [stages.generated!.sample!, stages.reference!.sample!];
  const { name } = options.networks.features!;
  const found = await memorisation(generated.rows, reference.rows, {
    ...options,
    k: SHOWN_NEIGHBOURS,
  });
  const rows = found.neighbours.map(({ indices, distances, ratio, copied }, i): NeighbourRow => ({
    key: generated.names[i],
    copied,
    ratio,
    neighbours: indices.map((index, n) => ({
      key: reference.names[index],
      distance: distances[n],
    })),
  }));
  rows.sort((a, b) => a.ratio - b.ratio || (a.key < b.key ? -1 : 1));
  // The same question asked of reference pictures says what is usual: their nearest is themselves, so the second.
  const among = await memorisation(reference.rows, reference.rows, { ...options, k: 2 });
  const nearest = found.neighbours.map(({ distances }) => distances[0]).sort((a, b) => a - b);
  const usual = among.neighbours.map(({ distances }) => distances[1]).sort((a, b) => a - b);
  const copied = rows.filter((row) => row.copied).length;
  return {
    figures: [
      {
        figure: "memorisation",
        name: `Copied share (${name})`,
        value: found.copiedShare,
        better: "lower",
        conditions: `nearest at less than a third of the second nearest, of ${reference.names.length} reference pictures`,
      },
    ],
    distributions: [
      {
        name: "Distance to the nearest reference picture",
        values: nearest,
        comparison: { name: "between reference pictures", values: usual },
      },
    ],
    neighbours: rows.slice(0, Math.max(SHOWN_PICTURES, Math.min(copied, 4 * SHOWN_PICTURES))),
    warnings: [
      ...(copied > 0
        ? [
            `${copied} of ${rows.length} generated pictures look copied from the reference set, e.g. ${rows[0].key}.`,
          ]
        : []),
      ...(quantile(nearest, 0.5) < quantile(usual, 0.05)
        ? [
            "Half of the generated pictures are nearer to a reference picture than reference pictures are to each other.",
          ]
        : []),
      ...sampledWarning("Memorisation", generated, reference),
    ],
  };
}

async function retrieval({ stages, options }: Gathered): Promise<Contribution> {
  const { rows, names } = stages.generated!.clipPairs!;
  const width = rows.shape[1] / 2;
  const half = (offset: number): Tensor =>
    float32(
      [names.length, width],
      Float32Array.from(
        { length: names.length * width },
        (_, i) => rows.data[Math.floor(i / width) * 2 * width + offset + (i % width)],
      ),
    );
  const { distractors = 99, seed } = options;
  const found = await rPrecision(half(0), half(width), { ...options, distractors, seed });
  const { name } = options.networks.clip!;
  const conditions = `R = 1, ${found.distractors} distractors`;
  const figure = (label: string, value: number): ReportedFigure => ({
    figure: "r-precision",
    name: `R-precision ${label} (${name})`,
    value,
    better: "higher",
    conditions,
  });
  return {
    figures: [figure("image → text", found.imageToText), figure("text → image", found.textToImage)],
    warnings:
      found.distractors < distractors
        ? [
            `R-precision has ${found.distractors} distractors instead of ${distractors}: there are ${names.length} pictures.`,
          ]
        : [],
  };
}

function scalar(
  figure: FigureName,
  name: string,
  { mean, std, interval, lowest, highest, sample }: ScalarSummary,
  rest: Pick<ReportedFigure, "better" | "conditions">,
): Contribution {
  return {
    figures: [{ figure, name, value: mean, std, interval, ...rest }],
    distributions: [{ name, values: sample }],
    rankings: [
      { name: `Highest ${name}`, pictures: highest },
      { name: `Lowest ${name}`, pictures: lowest },
    ],
  };
}

function take(sample: FeatureSample, indices: ArrayLike<number>): Tensor<"float32"> {
  const [rows, columns] = sample.rows.shape;
  const taken = takeRows({ rows, columns, data: sample.rows.data }, indices);
  return float32([taken.rows, columns], taken.data as Float32Array);
}

function sampledWarning(name: string, ...samples: readonly FeatureSample[]): string[] {
  const cut = samples.find(({ names, seen }) => names.length < seen);
  if (cut === undefined) return [];
  return [
    `${name} was measured on a sample of ${cut.names.length} of ${cut.seen} pictures; raise sampleLimit for more.`,
  ];
}

/** @throws NijimiError `option` when figures and what is given do not fit together */
export function checkNeeds(
  options: EvaluationOptions,
  reference: "pictures" | "statistics" | "spatial statistics" | "none",
): void {
  const { features, clip, aesthetic, perceptual } = options.networks;
  const refuse = (figure: FigureName, needs: string): never => {
    throw new NijimiError("option", `${figure} needs ${needs}.`);
  };
  for (const figure of options.figures) {
    const needs = NEEDS[figure];
    if (needs.network === "features" && features === undefined)
      refuse(figure, "a feature network, e.g. fid-inception");
    if (needs.network === "clip" && clip === undefined) refuse(figure, "a CLIP model");
    if (figure === "aesthetic" && aesthetic === undefined) refuse(figure, "an aesthetic head");
    if (needs.network === "perceptual" && perceptual === undefined)
      refuse(figure, "the weights of LPIPS");
    if (needs.output !== undefined && features?.dimensions[needs.output] === undefined)
      refuse(figure, `a network with ${needs.output}; ${features!.name} has none`);
    if (needs.reference === "pictures" && reference !== "pictures")
      refuse(
        figure,
        reference === "none"
          ? "a reference set"
          : "the pictures of the reference set, not statistics",
      );
    if (needs.reference === "statistics" && reference === "none")
      refuse(figure, "a reference set or its statistics");
    if (figure === "sfid" && reference === "statistics")
      refuse(
        figure,
        "statistics of spatial features (mu_s, sigma_s), which the file does not have",
      );
  }
}

interface Needs {
  readonly network?: "features" | "clip" | "perceptual";
  readonly output?: "logits" | "spatial";
  readonly reference?: "pictures" | "statistics";
}

const NEEDS: Readonly<Record<FigureName, Needs>> = {
  fid: { network: "features", reference: "statistics" },
  sfid: { network: "features", output: "spatial", reference: "statistics" },
  kid: { network: "features", reference: "pictures" },
  is: { network: "features", output: "logits" },
  prdc: { network: "features", reference: "pictures" },
  memorisation: { network: "features", reference: "pictures" },
  "clip-score": { network: "clip" },
  "r-precision": { network: "clip" },
  aesthetic: { network: "clip" },
  psnr: { reference: "pictures" },
  ssim: { reference: "pictures" },
  "ms-ssim": { reference: "pictures" },
  lpips: { network: "perceptual", reference: "pictures" },
};
