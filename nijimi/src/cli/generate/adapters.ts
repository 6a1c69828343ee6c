/** Options that name adapters: files with strengths, and the pictures that they look at. */
import { NijimiError } from "../../errors.ts";
import { readImage } from "../../images/codec.ts";
import type { PipelineOptions } from "../../pipelines/pipeline.ts";
import type { AdaptersOfRecipe } from "../../pipelines/recipe.ts";
import type {
  ControlUse,
  GenerationRequest,
  ImagePromptUse,
  LoraUse,
  PictureAdapterUse,
} from "../../pipelines/request.ts";
import { kebabCase } from "../options.ts";
import { inFolder, locateModel } from "./locate.ts";
import type { Given } from "./settings.ts";
import { parseScaledPath } from "./values.ts";

type Env = Readonly<Record<string, string | undefined>>;
type PairName = "controlNet" | "ipAdapter" | "t2iAdapter";

/** Each adapter's name in the pipeline, its file and strength, and what it looks at. */
interface Pair {
  readonly name: string;
  readonly path: string;
  readonly scale?: number;
  readonly image: string;
}

/** The option of what an adapter looks at. */
function pictureOption(adapter: PairName) {
  return adapter === "controlNet" ? "controlImage" : (`${adapter}Image` as const);
}

/** Adapters and their pictures, in order. @throws NijimiError `option` unless there is a picture for each */
function pairsOf(given: Given, adapter: PairName): Pair[] {
  const pictures = pictureOption(adapter);
  const [files, images] = [given[adapter], given[pictures]];
  if (files.length !== images.length)
    throw new NijimiError(
      "option",
      `--${kebabCase(adapter)} and --${kebabCase(pictures)} go together: one picture for each; got ${files.length} and ${images.length}.`,
    );
  return files.map((file, i) => ({
    name: `${adapter}${i}`,
    ...parseScaledPath(file),
    image: images[i],
  }));
}

/** @throws NijimiError `option` for a recipe that needs more than the options name */
function requireAdapters(adapter: PairName, given: Given, recorded: readonly unknown[]): void {
  if (recorded.length === 0 || given[adapter].length > 0) return;
  const [option, pictures] = [adapter, pictureOption(adapter)].map(kebabCase);
  throw new NijimiError(
    "option",
    `The recipe's picture was made with ${recorded.length} × --${option}, and a recipe holds neither file nor picture; give --${option} and --${pictures} again.`,
  );
}

/** LoRAs by the names that prompts use. */
export function lorasOf({ lora }: Pick<Given, "lora">): { path: string; use: LoraUse }[] {
  return lora.map((item) => {
    const { path, scale } = parseScaledPath(item);
    const name = (path.split(/[\\/]/).at(-1) ?? path).replace(/\.\w+$/, "");
    return { path, use: { name, ...(scale !== undefined && { scale }) } };
  });
}

/** Files of adapters, as a pipeline is loaded with them. */
export async function adapterFilesOf(
  given: Given,
  models: string,
  env: Env,
): Promise<Partial<PipelineOptions>> {
  const loraFolder = `${models}/loras`;
  const loras: Record<string, string> = {};
  for (const { path, use } of lorasOf(given))
    loras[use.name] = (await inFolder(loraFolder, path)) ?? path;
  const located = async (adapter: PairName): Promise<Record<string, string>> => {
    const files: Record<string, string> = {};
    for (const { name, path } of pairsOf(given, adapter))
      files[name] = await locateModel(path, env);
    return files;
  };
  const { imageEncoder } = given;
  return {
    loras,
    findLora: (name) => inFolder(loraFolder, name),
    controlNets: await located("controlNet"),
    imagePrompts: await located("ipAdapter"),
    adapters: await located("t2iAdapter"),
    ...(imageEncoder !== undefined && { imageEncoder: await locateModel(imageEncoder, env) }),
  };
}

/**
 * The use that a request makes of them; their pictures are read.
 *
 * @param recorded those of the recipe that is made again, whose strengths count where the options name none
 * @throws NijimiError `option` where the recipe has adapters of a kind and the options none
 */
export async function adapterUsesOf(
  given: Given,
  recorded: AdaptersOfRecipe = { control: [], adapters: [], imagePrompts: [] },
): Promise<Pick<GenerationRequest, "loras" | "control" | "imagePrompts" | "adapters">> {
  const { controlScale, controlStart, controlEnd, guessMode, t2iAdapterEnd } = given;
  requireAdapters("controlNet", given, recorded.control);
  requireAdapters("ipAdapter", given, recorded.imagePrompts);
  requireAdapters("t2iAdapter", given, recorded.adapters);
  const loras = lorasOf(given).map(({ use }) => use);
  const control: ControlUse[] = [];
  for (const [i, { name, scale = controlScale, image }] of pairsOf(given, "controlNet").entries()) {
    const before = recorded.control[i];
    control.push({
      name,
      image: await readImage(image),
      scale: scale ?? before?.scale,
      start: controlStart ?? before?.start,
      end: controlEnd ?? before?.end,
      guessMode: guessMode || before?.guessMode,
    });
  }
  const imagePrompts: ImagePromptUse[] = [];
  for (const [i, { name, scale, image }] of pairsOf(given, "ipAdapter").entries()) {
    const images = await Promise.all(image.split(",").map((file) => readImage(file)));
    imagePrompts.push({ name, images, scale: scale ?? recorded.imagePrompts[i]?.scale });
  }
  const adapters: PictureAdapterUse[] = [];
  for (const [i, { name, scale, image }] of pairsOf(given, "t2iAdapter").entries()) {
    const before = recorded.adapters[i];
    adapters.push({
      name,
      image: await readImage(image),
      scale: scale ?? before?.scale,
      end: t2iAdapterEnd ?? before?.end,
    });
  }
  return {
    ...(loras.length > 0 && { loras }),
    ...(control.length > 0 && { control }),
    ...(imagePrompts.length > 0 && { imagePrompts }),
    ...(adapters.length > 0 && { adapters }),
  };
}

/** Every file that a picture of these options is made of, for telling whether it was made before. */
export function filesOf(given: Given): (string | undefined)[] {
  const { lora, controlNet, ipAdapter, t2iAdapter, controlImage, t2iAdapterImage } = given;
  const scaled = [...lora, ...controlNet, ...ipAdapter, ...t2iAdapter];
  return [
    given.vae,
    given.refiner,
    given.image,
    given.mask,
    given.depth,
    given.imageEncoder,
    ...given.embedding,
    ...scaled.map((item) => parseScaledPath(item).path),
    ...controlImage,
    ...t2iAdapterImage,
    ...given.ipAdapterImage.flatMap((item) => item.split(",")),
  ];
}
