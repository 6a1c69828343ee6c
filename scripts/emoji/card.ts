/** The embedded model's card, written from its figures: nothing in it is typed by hand but the verdicts. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import {
  type Comparison,
  type Quality,
  type Reconstruction,
  SHEET_SAMPLERS,
  SHEET_STEPS,
  type SweepPoint,
} from "./figures.ts";
import type { TrainingRecord } from "./hours.ts";
import type { Retrieval } from "./judge.ts";
import { GROUPS } from "./sets.ts";

/** What `figures.json` holds; what has not been measured is absent. */
export interface CardFigures {
  readonly autoencoder?: Reconstruction;
  readonly quality?: Quality;
  readonly sweep?: readonly SweepPoint[];
  /** Caption of the sheet of samplers. */
  readonly samplers?: string;
  /** Prompts of the contact sheet, row by row. */
  readonly contact?: readonly string[];
  readonly comparison?: Comparison & { readonly what: string };
  readonly trainings?: readonly TrainingRecord[];
}

/** What was seen in each picture of the contact sheet, by a person: `{ "recognised": ["red apple", …], "by": "…" }`. */
export interface Verdicts {
  readonly recognised: readonly string[];
  /** Who judged, and how. */
  readonly by: string;
}

const GOALS = { psnr: 28, training: 0.9, other: 0.5, recognised: 51, worse: 0.03 };
const COMMAND = "npm run emoji:figures -- --data noto-emoji-128.tar.gz";

/** The verdicts beside a model. */
export async function readVerdicts(folder: string): Promise<Verdicts | undefined> {
  const text = await readFile(path.join(folder, "verdicts.json"), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Verdicts);
}

/** The card as Markdown. */
export function modelCard(figures: CardFigures, verdicts: Verdicts | undefined): string {
  return [
    intro(),
    figures.trainings && trainingSection(figures.trainings),
    "## Figures\n\nAll are measured, by the judge: a CLIP of another shape and seed, which has seen every picture. Goals are those that the project set itself before training.",
    figures.quality && qualitySection(figures.quality),
    figures.autoencoder && autoencoderSection(figures.autoencoder),
    figures.sweep && sweepSection(figures.sweep),
    figures.comparison && comparisonSection(figures.comparison),
    figures.samplers && samplerSection(figures.samplers),
    figures.contact && contactSection(figures.contact, verdicts),
    limits(),
  ]
    .filter((section) => section !== undefined)
    .join("\n\n")
    .concat("\n");
}

function intro(): string {
  return `# emoji

Pictures of 128×128 from a few words, in the style of Noto emoji: latent diffusion with classifier-free guidance, with
an autoencoder, a CLIP and a U-Net that this project trained by its own code alone. A diffusers folder
(\`StableDiffusionPipeline\`) with weights in half precision; Python's diffusers loads it too.

\`\`\`sh
nijimi generate "red apple"
\`\`\`

- Weights: Apache-2.0.
- Pictures it learnt from: Noto emoji (github.com/googlefonts/noto-emoji), Apache-2.0.
- Captions: CLDR's annotations through emojibase, MIT.
- Withheld from training: the emoji and compositions that \`nijimi/src/train/recipes/emoji/split.ts\` lists.
- The data can be built again: \`docs/recipes/build-the-emoji-shards.md\`.

This file is written by \`${COMMAND}\`, from \`figures.json\`.`;
}

function trainingSection(trainings: readonly TrainingRecord[]): string {
  const total = trainings.reduce((sum, { hours }) => sum + hours, 0);
  const rows = trainings.map(({ recipe, updates, batchSize, hours, waited }) => [
    recipe,
    String(updates),
    String(batchSize),
    hours.toFixed(2),
    percent(waited, 2),
  ]);
  const commands = trainings.map(({ command }) => command).join("\n");
  return `## Training

${table(["recipe", "updates", "batch", "hours", "waiting for data"], rows)}

${total.toFixed(1)} hours in all, on two cores of a server CPU. The commands, then \`npm run emoji:assemble\`:

\`\`\`sh
${commands}
\`\`\``;
}

function qualitySection({ settings, generated, real, distance }: Quality): string {
  const row = (name: string, found: Retrieval, ceiling?: Retrieval, goal?: number) => [
    name,
    String(found.pairs),
    percent(found.captionAt1),
    percent(found.captionAt5),
    percent(found.pictureAt1),
    percent(found.pictureAt5),
    ceiling === undefined || goal === undefined ? "" : share(found, ceiling, goal),
  ];
  const rows = [
    row("real pictures, training captions (ceiling)", real.training),
    row("real pictures, withheld captions (ceiling)", real.withheld),
    row("generated, training captions", generated.training, real.training, GOALS.training),
    row("generated, withheld captions", generated.withheld, real.withheld, GOALS.other),
    row("generated, compositions", generated.compositions, real.training, GOALS.other),
  ];
  return `### Retrieval

${settings.steps} steps, guidance ${settings.guidanceScale}, one picture per caption. Each picture's caption is ranked among 99 others, and each
caption's picture among 99 others, drawn with seed 0 from all captions of ${GROUPS.join(", ")}. Chance is 1 % and 5 %.

${table(
  ["", "pairs", "caption R@1", "R@5", "picture R@1", "R@5", "R@5 of the ceiling (goal)"],
  rows,
)}

### Fréchet distance

${distance.name}, ${distance.pictures} generated pictures of training captions against the real ones: **${distance.generated.toFixed(3)}**. Two halves of the real
ones, ${distance.half} each: ${distance.halves.toFixed(3)} (fewer pictures make the distance larger). \`${COMMAND} --only quality\``;
}

/** Shares of the ceiling in both directions, beside the goal. */
function share(found: Retrieval, ceiling: Retrieval, goal: number): string {
  const shares = [found.captionAt5 / ceiling.captionAt5, found.pictureAt5 / ceiling.pictureAt5];
  const verdict = shares.every((value) => value >= goal) ? "met" : "missed";
  return `${shares.map((value) => percent(value)).join(", ")} (${percent(goal)}: ${verdict})`;
}

function autoencoderSection({ pictures, psnr, worst }: Reconstruction): string {
  const verdict = psnr >= GOALS.psnr ? "met" : "missed";
  return `### Autoencoder

PSNR of ${pictures} withheld pictures: **${psnr.toFixed(2)} dB** (goal ${GOALS.psnr}: ${verdict}), the worst ${worst.toFixed(2)} dB. \`${COMMAND} --only reconstruction\``;
}

function sweepSection(points: readonly SweepPoint[]): string {
  const rows = points.map(({ guidanceScale, distance, retrieval }) => [
    String(guidanceScale),
    distance.toFixed(3),
    percent(retrieval.captionAt1),
    percent(retrieval.captionAt5),
  ]);
  return `### Guidance

![Distance against retrieval](../../../docs/guide/images/emoji-guidance.svg)

${table(["scale", "FD", "caption R@1", "R@5"], rows)}

${points[0].retrieval.pairs} training captions, candidates among them. ${shapeOf(points)} \`${COMMAND} --only sweep\``;
}

/** The sweep in words, to be read beside the paper's: retrieval rises with the scale, distance is least at a small one. */
function shapeOf(points: readonly SweepPoint[]): string {
  const least = points.reduce((a, b) => (b.distance < a.distance ? b : a));
  const best = points.reduce((a, b) => (b.retrieval.captionAt5 > a.retrieval.captionAt5 ? b : a));
  return `In Ho & Salimans (2022) distance is least at a weak guidance and agreement with the condition rises beyond it. Here distance is least at ${least.guidanceScale}, retrieval highest at ${best.guidanceScale}.`;
}

function comparisonSection(found: Comparison & { readonly what: string }): string {
  const { pictures, psnr, worst, distance, retrieval, what } = found;
  const within = (own: number, other: number, better: "lower" | "higher") => {
    const change = better === "lower" ? other / own - 1 : 1 - other / own;
    return `${change > 0 ? percent(change) : "0 %"} worse: ${change <= GOALS.worse ? "met" : "missed"}`;
  };
  return `### Another form: ${what}

The same ${pictures} captions and seeds: PSNR ${psnr.toFixed(1)} dB on average, the worst ${worst.toFixed(1)} dB. Goal: no figure worse by more than ${percent(GOALS.worse)}.

${table(
  ["", "this form", "the other", ""],
  [
    [
      "FD",
      distance[0].toFixed(3),
      distance[1].toFixed(3),
      within(distance[0], distance[1], "lower"),
    ],
    ...(["captionAt5", "pictureAt5"] as const).map((name) => [
      name === "captionAt5" ? "caption R@5" : "picture R@5",
      percent(retrieval[0][name]),
      percent(retrieval[1][name]),
      within(retrieval[0][name], retrieval[1][name], "higher"),
    ]),
  ],
)}

\`${COMMAND} --only comparison --other …\``;
}

function samplerSection(caption: string): string {
  return `## Samplers

![${caption}](../../../docs/guide/images/emoji-samplers.png)

"${caption}", seed 1. Rows: ${SHEET_SAMPLERS.join(", ")}; columns: ${SHEET_STEPS.join(", ")} steps. \`${COMMAND} --only samplers\``;
}

function contactSection(prompts: readonly string[], verdicts: Verdicts | undefined): string {
  const known = new Set(verdicts?.recognised);
  const marked = prompts.map((prompt) =>
    verdicts === undefined ? prompt : `${prompt} ${known.has(prompt) ? "✓" : "✗"}`,
  );
  const rows = Array.from({ length: Math.ceil(marked.length / 8) }, (_, i) =>
    marked.slice(8 * i, 8 * i + 8).join(" · "),
  );
  const count = prompts.filter((prompt) => known.has(prompt)).length;
  const verdict =
    verdicts === undefined
      ? "Not judged yet."
      : `**${count} of ${prompts.length} recognised** (goal ${GOALS.recognised}: ${count >= GOALS.recognised ? "met" : "missed"}), judged by ${verdicts.by}.`;
  return `## Contact sheet

![64 prompts](../../../docs/guide/images/emoji-contact.png)

The first 32 are training captions, 16 withheld ones, 16 compositions. ${verdict}

${rows.map((row) => `${row}  `).join("\n")}`;
}

function limits(): string {
  return `## What it is not

It knows emoji and little else: one object, on white, in one style. Words that no emoji's caption has mean nothing to
it. It shows that the recipe works end to end, and draws at once, offline; for pictures in general give
\`nijimi generate\` a Stable Diffusion checkpoint.`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function percent(value: number, digits = 1): string {
  return `${(100 * value).toFixed(digits)} %`;
}
