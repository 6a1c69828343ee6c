/** `nijimi train`: runs a recipe, shows how it goes, and goes on where it was stopped. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { home } from "../../internal/home.node.ts";
import type { StepEnd } from "../../train/loop.ts";
import type { CommonSettings, Recipe } from "../../train/recipe.ts";
import { loadRecipe, RECIPE_NAMES } from "../../train/recipes/table.ts";
import type { RunEvent } from "../../train/run/events.ts";
import { connectMpi, resumedSettings, runRecipe } from "../../train/run/run-recipe.ts";
import { applySettings } from "../../train/settings.ts";
import { sparkline } from "../../train/sparkline.ts";
import { defineCommand } from "../command.ts";
import type { Progress, ProgressOptions } from "../progress.ts";

/** Longest stage of a training in one go, as recipes count. */
const STAGE_MINUTES = 150;
/** Updates that the shown loss is the mean of, and that the sparkline spans. */
const SHOWN_MEAN = 50;
const SHOWN_CURVE = 2000;

export const command = defineCommand({
  description: "Train a model by a recipe, or go on with a training",
  options: {
    recipe: { type: "argument", choices: RECIPE_NAMES, description: "What to train" },
    run: { type: "string", description: "Name of the run, or its folder; by default the recipe's" },
    resume: { type: "boolean", description: "Go on from the run's last checkpoint" },
    set: {
      type: "list",
      hint: "key=value",
      description: "Setting to change; may be given several times",
    },
    threads: { type: "number", integer: true, min: 1, description: "Threads of the step" },
    workers: {
      type: "number",
      integer: true,
      min: 0,
      default: 1,
      description: "Threads that load data",
    },
    minutes: { type: "number", min: 0, description: "Stop after so long, with a checkpoint" },
    checkpointMinutes: {
      type: "number",
      min: 0,
      default: 5,
      hint: "minutes",
      description: "Time between checkpoints",
    },
    previewMinutes: {
      type: "number",
      min: 0,
      default: 15,
      hint: "minutes",
      description: "Time between previews and figures on held-out data",
    },
    saveModel: { type: "boolean", description: "Write the model of the run's last checkpoint" },
    check: {
      type: "boolean",
      description: "Only see whether one batch is learnt, which takes a minute and keeps nothing",
    },
    dryRun: { type: "boolean", description: "Print the settings and stop" },
  },
  examples: [
    {
      command: "train emoji-autoencoder --set data=noto-emoji-128.tar.gz --set updates=5000",
      description: "The embedded model's autoencoder",
    },
    { command: "train emoji-autoencoder --resume", description: "Go on after a stop or a crash" },
    {
      command: "train emoji-autoencoder --set channels=[64,64,128,128]",
      description: "With another setting, here a larger network",
    },
    { command: "train diffusion --set data=photos --check", description: "Can it learn at all?" },
    { command: "train emoji-autoencoder --dry-run", description: "What would be trained, and how" },
  ],
  async run(values, { env, signal, result, say, progress }) {
    const recipe = await loadRecipe(values.recipe);
    const { run, resume, saveModel, threads, workers, minutes } = values;
    const { checkpointMinutes, previewMinutes } = values;
    const folder = runPath(home(env).root, run ?? recipe.name);
    const base = resume || saveModel ? await resumedSettings(recipe, folder) : recipe.settings;
    const settings = applySettings(base, values.set);
    if (values.dryRun) {
      result({ recipe: recipe.name, facts: recipe.facts, settings }, (plan) =>
        describe(recipe, plan),
      );
      return;
    }
    const together = await connectMpi(env);
    const speaks = together === undefined || together.index === 0;
    const view = terminalView(recipe.name, settings, { say, progress });
    let last: RunEvent | undefined;
    for await (const event of runRecipe(recipe, settings, {
      folder,
      resume: resume || saveModel,
      saveOnly: saveModel,
      check: values.check,
      workers,
      checkpointMinutes,
      previewMinutes,
      signal,
      ...threadsOf(threads, together),
      ...(together && { together }),
      ...(minutes !== undefined && { minutes }),
    })) {
      if (speaks) view.show(event);
      last = event;
    }
    together?.finalize();
    if (!speaks) return;
    view.end();
    if (last?.type === "batch-learnt") {
      const { first, updates } = last;
      const lowest = last.last;
      result(
        { first, last: lowest, updates },
        () =>
          `One batch is learnt: loss ${first.toPrecision(4)} → ${lowest.toPrecision(4)} in ${updates} updates.`,
      );
      return;
    }
    const model = last?.type === "run-end" ? last.model : undefined;
    result({ folder, ...(model !== undefined && { model }) }, () =>
      model === undefined ? `Stopped; go on with --resume. ${folder}` : model,
    );
  },
});

/** Threads of a process: as asked for, else its share of the machine's when several train on it. */
function threadsOf(
  asked: number | undefined,
  together: { readonly local: number } | undefined,
): { readonly threads?: number } {
  if (asked !== undefined) return { threads: asked };
  if (together === undefined) return {};
  return { threads: Math.max(1, Math.floor(availableParallelism() / together.local)) };
}

/** A name is a folder below the home's `training`; a path is itself. */
function runPath(root: string, run: string): string {
  return /[\\/]/.test(run) ? run : join(root, "training", run);
}

function describe(recipe: Recipe, { settings }: { readonly settings: CommonSettings }): string {
  const { data, hours, memoryGb, expected } = recipe.facts;
  return [
    `${recipe.name}: ${recipe.description}`,
    `  data      ${data}`,
    `  time      ${hours} hours on two cores${stages(hours)}`,
    `  memory    ${memoryGb} GB`,
    `  expected  ${expected}`,
    "",
    JSON.stringify(settings, null, 2),
  ].join("\n");
}

/** How to divide long trainings. */
function stages(hours: number): string {
  const count = Math.ceil((hours * 60) / STAGE_MINUTES);
  return count > 1
    ? `: ${count} stages of --minutes ${STAGE_MINUTES}, all but the first with --resume`
    : "";
}

/** Progress line and remarks of a run. */
function terminalView(
  label: string,
  { updates }: CommonSettings,
  context: { say(line: string): void; progress(options: ProgressOptions): Progress },
): { show(event: RunEvent): void; end(): void } {
  let display: Progress | undefined;
  let first = 0;
  const curve: number[] = [];
  const broken = new Set<string>();
  return {
    show(event) {
      if (event.type === "run-start") {
        first = event.update;
        const sizes = Object.entries(event.parameters)
          .map(([name, count]) => `${name} ${(count / 1e6).toFixed(2)} M`)
          .join(", ");
        context.say(`${event.folder}: from update ${first} of ${updates}; parameters: ${sizes}`);
        display = context.progress({ label, total: updates - first });
      } else if (event.type === "step-end") {
        curve.push(Object.values(event.losses)[0]);
        if (curve.length > SHOWN_CURVE) curve.shift();
        display?.update(event.update - first, note(event, curve));
      } else if (event.type === "evaluation") {
        const figures = Object.entries(event.values).map(([key, x]) => `${key} ${x.toFixed(2)}`);
        context.say(`update ${event.update}: ${figures.join(", ")}`);
      } else if (event.type === "samples-broken") {
        // They come again with every epoch; once is enough to be told.
        for (const { key, reason } of event.broken.filter(({ key: own }) => !broken.has(own))) {
          broken.add(key);
          context.say(`skipped ${key}: ${reason}`);
        }
      }
    },
    end() {
      display?.end();
      if (broken.size > 0)
        context.say(`Pictures that could not be read, and were replaced by others: ${broken.size}`);
    },
  };
}

/** `12.3 images/s · loss 0.0421 ▇▅▃▁` */
function note({ samples, milliseconds, update, updates }: StepEnd, curve: number[]): string {
  const recent = curve.slice(-SHOWN_MEAN);
  const mean = recent.reduce((total, loss) => total + loss, 0) / recent.length;
  const rate = (samples / milliseconds) * 1000;
  return `update ${update}/${updates} · ${rate.toFixed(1)} images/s · loss ${mean.toPrecision(4)} ${sparkline(curve)}`;
}
