/**
 * A training as users start it: a recipe, a folder, and everything that must survive a crash. Yields the loop's events
 * and its own; what is shown of them is the caller's business.
 */
import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NijimiError } from "../../errors.ts";
import { deriveSeed } from "../../tensor/random/derive.ts";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { ALONE } from "../feed.ts";
import { type LoopEvent, train } from "../loop.ts";
import { initialVectors, type Program } from "../program.ts";
import type { Platform } from "../platform.ts";
import type { CommonSettings, Recipe, Settings, Training } from "../recipe.ts";
import { checkOneBatch, type OneBatch } from "../sanity.ts";
import { shareState } from "../share-state.ts";
import { DATA_START, type TrainingState } from "../state.ts";
import { loadLatest, saveCheckpoint } from "./checkpoint.node.ts";
import { type RunFolder, runFolder } from "./folder.node.ts";
import type { RunEvent, RunOptions } from "./events.ts";
import { logLine } from "./log-line.ts";
import { openLog } from "./log.node.ts";
import { writeReport } from "./report.node.ts";
import { encodeSheet } from "./preview-sheet.ts";

/** See `run-recipe.ts`. */
export const runRecipe: Platform["runRecipe"] = async function* <S extends CommonSettings>(
  recipe: Recipe<S>,
  settings: S,
  options: RunOptions,
): AsyncGenerator<RunEvent> {
  const { together, now = () => performance.now(), workers = 1, minutes = Infinity } = options;
  const rank = together ?? ALONE;
  const writes = rank.index === 0;
  const folder = runFolder(options.folder);
  const checks = options.check === true;
  if (writes && !checks) await claimFolder(folder, recipe.name, settings, options.resume === true);
  const training = await recipe.build(settings, {
    rank,
    workers,
    trained: (name) => trainedModel(options.folder, name),
    cacheFolder: folder.cache,
    ...(options.threads !== undefined && { threads: options.threads }),
  });
  const { program } = training;
  try {
    if (checks) {
      yield { type: "batch-learnt", ...(await learnOneBatch(training, settings, options, now)) };
      return;
    }
    const own = await startState(program, settings.seed, writes ? folder : undefined);
    const start = together === undefined ? own : await shareState(own, together);
    if (start.update > 0 && options.resume !== true)
      throw new NijimiError(
        "file",
        `${folder.root} holds a run at update ${start.update}; go on with it (--resume) or name another.`,
      );
    yield {
      type: "run-start",
      folder: folder.root,
      update: start.update,
      updates: settings.updates,
      parameters: Object.fromEntries(
        Object.entries(start.vectors).map(([name, own]) => [name, own["parameters"].data.length]),
      ),
    };
    if (options.saveOnly === true) {
      if (writes) yield await saveModel(training, start, folder);
      return;
    }
    const began = now();
    const events = train(program, {
      feed: training.feed,
      start,
      updates: settings.updates,
      accumulate: settings.accumulate,
      now,
      stop: () => now() - began >= minutes * 60_000,
      ...(together && { together }),
      ...(options.threads !== undefined && { threads: options.threads }),
      ...(options.device !== undefined && { device: options.device }),
      ...(options.signal && { signal: options.signal }),
    });
    const last = yield* writes
      ? recorded(events, { recipe: recipe.name, settings, training, folder }, start, options, now)
      : silent(events, start);
    if (last.update < settings.updates || !writes) return;
    yield await saveModel(training, last, folder);
  } finally {
    await training.dispose?.();
  }
};

/** See {@link checkOneBatch}. */
function learnOneBatch(
  { program, feed }: Training,
  { seed, updates }: CommonSettings,
  { threads, device, signal }: RunOptions,
  now: () => number,
): Promise<OneBatch> {
  return checkOneBatch(program, {
    feed,
    planned: updates,
    randomFor: (player) => torchGenerator(deriveSeed(seed, "initialise", player)),
    now,
    ...(threads !== undefined && { threads }),
    ...(device !== undefined && { device }),
    ...(signal && { signal }),
  });
}

/** A path as it is; the model of another run beside this one. */
function trainedModel(folder: string, nameOrPath: string): string {
  return /[\\/]/.test(nameOrPath) ? nameOrPath : runFolder(join(folder, "..", nameOrPath)).model;
}

/** The run's first state: the folder's last checkpoint, or initial values from the seed. */
async function startState(
  program: Program,
  seed: number,
  folder: RunFolder | undefined,
): Promise<TrainingState> {
  const vectors = initialVectors(program, (player) =>
    torchGenerator(deriveSeed(seed, "initialise", player)),
  );
  const saved = folder && (await loadLatest(folder.checkpoints, program, vectors));
  return saved ?? { update: 0, samples: 0, position: DATA_START, vectors };
}

/** What `run.json` holds. */
interface RunFile {
  readonly recipe: string;
  readonly settings: Settings;
}

async function readRunFile({ settings }: RunFolder): Promise<RunFile | undefined> {
  const text = await readFile(settings, "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as RunFile);
}

/** The settings a run was started with; undefined where the folder holds none. */
export const storedSettings: Platform["storedSettings"] = async (folder) =>
  (await readRunFile(runFolder(folder)))?.settings;

/** Writes what the run is, or checks that the folder's run is the same. */
async function claimFolder(
  folder: RunFolder,
  recipe: string,
  settings: Settings,
  resume: boolean,
): Promise<void> {
  const known = await readRunFile(folder);
  if (known && known.recipe !== recipe)
    throw new NijimiError(
      "file",
      `${folder.root} holds a run of "${known.recipe}"; choose another folder for "${recipe}".`,
    );
  if (resume && !known) throw new NijimiError("file", `${folder.root} holds no run to go on with.`);
  await mkdir(folder.root, { recursive: true });
  await writeFile(folder.settings, `${JSON.stringify({ recipe, settings }, null, 2)}\n`);
}

/** Writes the model; one that is there is replaced. */
async function saveModel(
  { save }: Training,
  { update, vectors }: TrainingState,
  { model }: RunFolder,
): Promise<RunEvent> {
  await rm(model, { recursive: true, force: true });
  await save(vectors, model);
  return { type: "run-end", update, model };
}

async function* silent(
  events: AsyncGenerator<LoopEvent>,
  start: TrainingState,
): AsyncGenerator<RunEvent, TrainingState> {
  let state = start;
  for await (const event of events) {
    if (event.type === "step-end") ({ state } = event);
    yield event;
  }
  return state;
}

/** What is recorded where. */
interface Recorded {
  readonly recipe: string;
  readonly settings: Settings;
  readonly training: Training;
  readonly folder: RunFolder;
}

/** Passes events on and writes log, previews and checkpoints in between. */
async function* recorded(
  events: AsyncGenerator<LoopEvent>,
  { recipe, settings, training, folder }: Recorded,
  start: TrainingState,
  options: RunOptions,
  now: () => number,
): AsyncGenerator<RunEvent, TrainingState> {
  const { checkpointMinutes = 5, previewMinutes = 15, keep = 2 } = options;
  const began = now();
  const due = (since: number, after: number): boolean => now() - since >= after * 60_000;
  const log = await openLog(folder.log, start.update);
  let state = start;
  let saved = start.update;
  let [savedAt, previewedAt] = [began, began];
  const save = async (): Promise<RunEvent> => {
    const checkpoint = await saveCheckpoint(folder.checkpoints, training.program, state, keep);
    [saved, savedAt] = [state.update, now()];
    return { type: "checkpoint-saved", update: state.update, folder: checkpoint };
  };
  try {
    for await (const event of events) {
      if (event.type === "step-end") {
        ({ state } = event);
        await log.append(logLine(event));
      }
      yield event;
      if (event.type !== "step-end") continue;
      if (due(previewedAt, previewMinutes)) {
        yield* look(training, folder, state);
        await writeReport(folder, recipe, settings);
        previewedAt = now();
      }
      if (due(savedAt, checkpointMinutes)) yield await save();
    }
    if (state.update > start.update) yield* look(training, folder, state);
    if (saved < state.update) yield await save();
  } finally {
    // Also when the caller stops or the signal fires: what was learnt is kept.
    if (saved < state.update) await save();
    await log.close();
    await writeReport(folder, recipe, settings);
  }
  return state;
}

/** Previews and figures on held-out data. */
async function* look(
  { preview, evaluate }: Training,
  { previews, evaluations }: RunFolder,
  { update, vectors }: TrainingState,
): AsyncGenerator<RunEvent> {
  if (preview) {
    await mkdir(previews, { recursive: true });
    const files: string[] = [];
    for (const sheet of await preview(vectors)) {
      const file = join(previews, `${sheet.name}-${String(update).padStart(8, "0")}.png`);
      await writeFile(file, encodeSheet(sheet));
      files.push(file);
    }
    yield { type: "step-preview", update, files };
  }
  if (evaluate) {
    const values = await evaluate(vectors);
    await appendFile(evaluations, `${JSON.stringify({ update, ...values })}\n`);
    yield { type: "evaluation", update, values };
  }
}
