/**
 * The evaluation of a generated image set, alone or against a reference: one pass over each set, bounded memory,
 * snapshots to resume from, the same report in every run.
 */
import { NijimiError, unknownName } from "../../errors.ts";
import { describeNetwork } from "../networks/feature-network.ts";
import type { GaussianStatistics } from "../moments.ts";
import {
  type Collector,
  collectorsOf,
  makeBatch,
  networksOf,
  type PictureSummary,
  type StageResults,
} from "./collectors.ts";
import { checkNeeds, type Contribution, type Gathered, RULES } from "./finish.ts";
import {
  type EvaluationEvent,
  type EvaluationOptions,
  type EvaluationReport,
  type FigureName,
  FIGURES,
  type ImageSet,
  type SetDescription,
  type SetItem,
  type Snapshot,
  type StageName,
  type StageSnapshot,
  type StatisticsInput,
} from "./types.ts";

const PAIRED: readonly FigureName[] = ["psnr", "ssim", "ms-ssim", "lpips"];

/**
 * Measures a generated set.
 *
 * A `snapshot` event holds the live state: save it before asking for the next event.
 *
 * @param reference pictures, their statistics, or nothing where no figure needs a reference
 * @throws NijimiError `option` when figures, sets and networks do not fit together; `format` for a picture that cannot
 *   be decoded; `cancelled` after the signal
 * @example
 * for await (const event of evaluate(samples, photos, { figures: ["fid", "kid"], networks: { features } }))
 *   if (event.kind === "report") show(event.report);
 */
export async function* evaluate(
  generated: ImageSet,
  reference: ImageSet | StatisticsInput | undefined,
  options: EvaluationOptions,
): AsyncGenerator<EvaluationEvent, void> {
  for (const figure of options.figures)
    if (!FIGURES.includes(figure)) throw unknownName("figure", figure, FIGURES);
  checkNeeds(options, kindOfReference(reference));
  const origin = originWarning(reference, options);
  if (origin !== undefined) yield { kind: "warning", message: origin };
  const settings = describeSettings(generated, reference, options);
  const saved = checkedSnapshot(options.resume, settings);
  const finished: Partial<Record<StageName, StageSnapshot>> = {};
  const results: Partial<Record<StageName, StageResults>> = {};
  for (const [stage, sets] of plan(generated, reference, options)) {
    const collectors = collectorsOf(stage, options);
    const run = runStage(stage, sets, collectors, options, saved?.stages[stage]);
    for await (const event of run) {
      if (event.kind !== "state") yield event;
      else {
        finished[stage] = event.snapshot;
        yield { kind: "snapshot", snapshot: { settings, stages: { ...finished } } };
      }
    }
    results[stage] = await finishStage(collectors, finished[stage]!.states);
    for (const message of pictureWarnings(stage, results[stage].pictures))
      yield { kind: "warning", message };
  }
  const gathered: Gathered = {
    stages: results,
    options,
    ...momentsOfReference(reference, results),
  };
  const contributions: Contribution[] = [];
  for (const figure of FIGURES.filter((name) => options.figures.includes(name))) {
    options.signal?.throwIfAborted();
    yield { kind: "figure-start", figure };
    const contribution = await RULES[figure](gathered);
    for (const message of contribution.warnings ?? []) yield { kind: "warning", message };
    contributions.push(contribution);
  }
  yield {
    kind: "report",
    report: makeReport(generated, reference, results, contributions, options),
  };
}

function isStatistics(input: ImageSet | StatisticsInput): input is StatisticsInput {
  return "statistics" in input;
}

function kindOfReference(
  reference: ImageSet | StatisticsInput | undefined,
): "pictures" | "statistics" | "spatial statistics" | "none" {
  if (reference === undefined) return "none";
  if (!isStatistics(reference)) return "pictures";
  return reference.spatial === undefined ? "statistics" : "spatial statistics";
}

/**
 * Statistics of another network or resizing are refused; a file that does not say is taken with a warning.
 *
 * @throws NijimiError `option`
 */
function originWarning(
  reference: ImageSet | StatisticsInput | undefined,
  { networks }: EvaluationOptions,
): string | undefined {
  if (reference === undefined || !isStatistics(reference) || networks.features === undefined)
    return undefined;
  const wanted = describeNetwork(networks.features);
  const { name, computedWith } = reference;
  if (computedWith === undefined)
    return `${name} does not say what it was computed with; it must be ${wanted}.`;
  if (computedWith === wanted) return undefined;
  throw new NijimiError(
    "option",
    `${name} was computed with ${computedWith} and cannot be compared with ${wanted}.`,
  );
}

/** The stages with the sets that they go through. */
function plan(
  generated: ImageSet,
  reference: ImageSet | StatisticsInput | undefined,
  { figures }: EvaluationOptions,
): [StageName, readonly ImageSet[]][] {
  const stages: [StageName, readonly ImageSet[]][] = [["generated", [generated]]];
  const pictures = reference !== undefined && !isStatistics(reference) ? reference : undefined;
  const isCompared = figures.some((figure) => !PAIRED.includes(figure));
  if (pictures !== undefined && isCompared) stages.push(["reference", [pictures]]);
  if (pictures !== undefined && figures.some((figure) => PAIRED.includes(figure)))
    stages.push(["pairs", [generated, pictures]]);
  return stages;
}

type StageEvent =
  | Exclude<EvaluationEvent, { kind: "snapshot" | "report" }>
  | { readonly kind: "state"; readonly snapshot: StageSnapshot };

/** Goes through the sets of a stage from where it was left. The last event is its finished state. */
async function* runStage(
  stage: StageName,
  sets: readonly ImageSet[],
  collectors: Readonly<Record<string, Collector>>,
  { networks, batchSize = 16, snapshotEvery = 1024, signal }: EvaluationOptions,
  saved: StageSnapshot | undefined,
): AsyncGenerator<StageEvent> {
  const [{ size: total }] = sets;
  const states: Record<string, unknown> = Object.fromEntries(
    Object.entries(collectors).map(([name, collector]) => [
      name,
      saved?.states[name] ?? collector.start(),
    ]),
  );
  let done = saved?.position ?? 0;
  let lastSnapshot = done;
  yield { kind: "stage-start", stage, done, ...(total !== undefined && { total }) };
  const wanted = networksOf(stage, collectors);
  const snapshot = (isDone: boolean): StageEvent => ({
    kind: "state",
    snapshot: { position: done, isDone, states },
  });
  if (saved?.isDone !== true)
    for await (const [items, partners] of batchesOf(sets, done, batchSize)) {
      signal?.throwIfAborted();
      const batch = await makeBatch(items, partners, networks, wanted);
      for (const [name, collector] of Object.entries(collectors))
        states[name] = await collector.add(states[name], batch);
      done += items.length;
      yield { kind: "stage-progress", stage, done, ...(total !== undefined && { total }) };
      if (done - lastSnapshot >= snapshotEvery) {
        lastSnapshot = done;
        yield snapshot(false);
      }
    }
  if (done === 0) throw new NijimiError("file", `${sets[0].name} holds no pictures.`);
  yield snapshot(true);
  yield { kind: "stage-end", stage, done };
}

/** Batches of one set, or of two in step. */
async function* batchesOf(
  sets: readonly ImageSet[],
  from: number,
  batchSize: number,
): AsyncGenerator<readonly [SetItem[], SetItem[] | undefined]> {
  const iterators = sets.map((set) => set.items(from)[Symbol.asyncIterator]());
  let batch: SetItem[][] = sets.map(() => []);
  for (let position = from; ; position++) {
    const next = await Promise.all(iterators.map((iterator) => iterator.next()));
    const ended = next.filter(({ done }) => done === true).length;
    if (ended > 0 && ended < next.length)
      throw new NijimiError(
        "shape",
        `${sets[next.findIndex(({ done }) => done === true)].name} ends after ${position} pictures and the other set does not; ` +
          "paired figures need one counterpart for every picture.",
      );
    if (ended === 0) next.forEach(({ value }, i) => batch[i].push(value as SetItem));
    if (batch[0].length === batchSize || (ended > 0 && batch[0].length > 0)) {
      yield [batch[0], batch[1]];
      batch = sets.map(() => []);
    }
    if (ended > 0) return;
  }
}

async function finishStage(
  collectors: Readonly<Record<string, Collector>>,
  states: Readonly<Record<string, unknown>>,
): Promise<StageResults> {
  const results: Record<string, unknown> = {};
  for (const [name, collector] of Object.entries(collectors))
    results[name] = await collector.finish(states[name]);
  return results as unknown as StageResults;
}

function momentsOfReference(
  reference: ImageSet | StatisticsInput | undefined,
  results: Partial<Record<StageName, StageResults>>,
): { referenceMoments?: GaussianStatistics; referenceSpatialMoments?: GaussianStatistics } {
  if (reference !== undefined && isStatistics(reference))
    return { referenceMoments: reference.statistics, referenceSpatialMoments: reference.spatial };
  return {
    referenceMoments: results.reference?.moments,
    referenceSpatialMoments: results.reference?.spatialMoments,
  };
}

/** Everything that decides the numbers, in words: a snapshot belongs to one of these. */
function describeSettings(
  generated: ImageSet,
  reference: ImageSet | StatisticsInput | undefined,
  options: EvaluationOptions,
): string {
  const { figures, networks, sampleLimit, seed, batchSize } = options;
  return JSON.stringify({
    sets: [generated, reference].map((set) =>
      set === undefined
        ? null
        : { name: set.name, size: isStatistics(set) ? "statistics" : set.size },
    ),
    figures: [...figures].sort(),
    networks: namesOf(networks),
    sampleLimit,
    seed,
    batchSize,
  });
}

function namesOf({
  features,
  clip,
  aesthetic,
  perceptual,
}: EvaluationOptions["networks"]): string[] {
  const described = [features, clip]
    .filter((network, i, all) => network !== undefined && all.indexOf(network) === i)
    .map((network) => describeNetwork(network!));
  return [...described, ...[aesthetic, perceptual].flatMap((network) => network?.name ?? [])];
}

function checkedSnapshot(snapshot: Snapshot | undefined, settings: string): Snapshot | undefined {
  if (snapshot !== undefined && snapshot.settings !== settings)
    throw new NijimiError(
      "option",
      `The evaluation to resume has other settings: ${snapshot.settings}; these are ${settings}. Start a new one.`,
    );
  return snapshot;
}

function pictureWarnings(stage: StageName, pictures: PictureSummary | undefined): string[] {
  if (pictures === undefined) return [];
  const { count, grey, transparent, sizes } = pictures;
  const kinds = Object.keys(sizes).length;
  return [
    ...(kinds > 1
      ? [
          `The ${stage} set has pictures of ${kinds} sizes; all are resized to what the network takes.`,
        ]
      : []),
    ...(grey > 0
      ? [`${grey} of ${count} pictures of the ${stage} set are grey and were taken as RGB.`]
      : []),
    ...(transparent > 0
      ? [
          `${transparent} of ${count} pictures of the ${stage} set have transparency and were laid over white.`,
        ]
      : []),
  ];
}

function describeSet(
  name: string,
  count: number | undefined,
  pictures: PictureSummary | undefined,
): SetDescription {
  const sizes = Object.entries(pictures?.sizes ?? {}).sort(
    ([a, m], [b, n]) => n - m || (a < b ? -1 : 1),
  );
  return {
    name,
    ...(count !== undefined && { count }),
    sizes: Object.fromEntries(sizes.slice(0, 10)),
    grey: pictures?.grey ?? 0,
    transparent: pictures?.transparent ?? 0,
  };
}

function makeReport(
  generated: ImageSet,
  reference: ImageSet | StatisticsInput | undefined,
  results: Partial<Record<StageName, StageResults>>,
  contributions: readonly Contribution[],
  options: EvaluationOptions,
): EvaluationReport {
  const pictures = {
    generated: results.generated?.pictures,
    reference: results.reference?.pictures,
  };
  const referenceCount =
    reference !== undefined && isStatistics(reference)
      ? reference.statistics.count
      : pictures.reference?.count;
  const warnings = [
    ...pictureWarnings("generated", pictures.generated),
    ...pictureWarnings("reference", pictures.reference),
    ...contributions.flatMap(({ warnings: own }) => own ?? []),
  ];
  return {
    generated: describeSet(generated.name, pictures.generated?.count, pictures.generated),
    ...(reference !== undefined && {
      reference: describeSet(reference.name, referenceCount, pictures.reference),
    }),
    networks: namesOf(options.networks),
    figures: contributions.flatMap(({ figures }) => figures),
    warnings: [...new Set([originWarning(reference, options) ?? [], warnings].flat())],
    distributions: contributions.flatMap(({ distributions }) => distributions ?? []),
    rankings: contributions.flatMap(({ rankings }) => rankings ?? []),
    neighbours: contributions.flatMap(({ neighbours }) => neighbours ?? []),
  };
}
