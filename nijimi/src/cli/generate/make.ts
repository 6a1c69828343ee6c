/** Pictures of a request, batch by batch, each written when it is there. */
import { extname, join } from "node:path";
import { NijimiError } from "../../errors.ts";
import { tileImages } from "../../images/grid.ts";
import { recipeTexts } from "../../images/metadata/write.ts";
import type { ImageFormat } from "../../images/probe.ts";
import { home } from "../../internal/home.node.ts";
import { isThere } from "../../internal/is-there.node.ts";
import type { ImageReady } from "../../pipelines/events.ts";
import type { Pipeline } from "../../pipelines/pipeline.ts";
import type { CommandContext } from "../command.ts";
import { readVersion } from "../package-version.ts";
import type { AnyRequest, Given } from "./settings.ts";
import { generate, type Pipelines } from "./task.ts";
import { savePicture } from "./write.ts";

/** A written picture, as `--json` lists it. */
export interface Written {
  readonly file: string;
  readonly seed: string | undefined;
  readonly width: number;
  readonly height: number;
  /** What the safety checker says, where it was asked. */
  readonly flagged?: boolean;
  /** Made in an earlier run and found again. */
  readonly reused?: boolean;
}

/** Where pictures go. */
export interface Target {
  readonly folder: string;
  /** The one file that was asked for. */
  readonly file?: string;
  readonly format: ImageFormat;
}

/** @throws NijimiError `option` for one file and several pictures */
export function targetOf(
  { output, format, count = 1, interpolateTo }: Given,
  env: CommandContext["env"],
): Target {
  if (output === undefined) return { folder: home(env).outputs, format };
  if (extname(output) === "") return { folder: output, format };
  if (count > 1 || interpolateTo.length > 0)
    throw new NijimiError(
      "option",
      `--output ${output} is one file; give a folder for several pictures.`,
    );
  return { folder: join(output, ".."), file: output, format };
}

/** All pictures of a request, batch by batch; each is written when it is there. */
export async function makeAll(
  pipelines: Pipelines,
  request: AnyRequest,
  given: Given,
  target: Target,
  context: CommandContext,
  notes: Set<string>,
): Promise<Written[]> {
  const { count = 1, batchSize } = given;
  const first = (request.seed as number | bigint | undefined) ?? randomSeed();
  const written: Written[] = [];
  const write = async (image: ImageReady): Promise<void> => {
    image.notes.forEach((note) => notes.add(note));
    const file = target.file ?? (await freeName(target, pipelines.pipeline, image));
    await save(file, image);
    const { width, height } = image.image;
    const seed = image.seed === undefined ? undefined : String(image.seed);
    const { safety } = image;
    written.push({ file, seed, width, height, ...(safety && { flagged: safety.flagged }) });
  };
  for (let from = 0; from < count; from += batchSize) {
    const size = Math.min(batchSize, count - from);
    const seed = BigInt(first) + BigInt(from);
    const range = size > 1 ? `${from + 1}–${from + size}` : `${from + 1}`;
    const label = count > size ? `Picture ${range} of ${count}` : "Sampling";
    const batch = { ...request, count: size, seed, ...varied(request, from) };
    await makeBatch(pipelines, batch, label, given, context, write);
  }
  return written;
}

function varied({ variation }: AnyRequest, from: number) {
  return variation && { variation: { ...variation, seed: BigInt(variation.seed) + BigInt(from) } };
}

export function randomSeed(): number {
  return globalThis.crypto.getRandomValues(new Uint32Array(1))[0];
}

/** One run of the pipeline with a progress display. */
export async function makeBatch(
  pipelines: Pipelines,
  request: AnyRequest,
  label: string,
  { preview }: Pick<Given, "preview">,
  { signal, progress, say }: CommandContext,
  onImage: (image: ImageReady) => Promise<void>,
): Promise<void> {
  let display: ReturnType<CommandContext["progress"]> | undefined;
  const slowStart = setTimeout(() => say(SLOW_START), SLOW_START_MILLISECONDS);
  try {
    for await (const event of generate(pipelines, request, { signal })) {
      if (event.type === "step-start" && event.step === 0) {
        display?.end();
        display = progress({ label: display ? "Next pass" : label, total: event.steps });
      }
      if (event.type === "step-end") {
        clearTimeout(slowStart);
        display?.update(event.step + 1);
      }
      if (event.type === "step-preview" && preview !== undefined)
        await savePicture(preview, tileImages(event.images));
      if (event.type === "image-ready") await onImage(event);
    }
    display?.end();
  } finally {
    clearTimeout(slowStart);
  }
}

const SLOW_START_MILLISECONDS = 2500;
const SLOW_START = "Getting the networks ready; the first time takes longest, since they are kept";

export function save(file: string, { image, recipe }: ImageReady): Promise<void> {
  return savePicture(file, image, recipeTexts({ ...recipe, software: `nijimi ${readVersion()}` }));
}

/** A name that is not taken: `a-red-cat-42.png`, with the seed. */
async function freeName(
  { folder, format }: Target,
  { name }: Pipeline,
  { recipe, seed, index }: ImageReady,
): Promise<string> {
  const words = (recipe.prompt ?? name)
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);
  for (let attempt = 1; ; attempt++) {
    const suffix = attempt === 1 ? "" : `-${attempt}`;
    const file = join(
      folder,
      `${words || "picture"}-${seed ?? index}${suffix}.${format === "jpeg" ? "jpg" : format}`,
    );
    if (!(await isThere(file))) return file;
  }
}
