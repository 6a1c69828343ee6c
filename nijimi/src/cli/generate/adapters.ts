/** Options that name adapters: files with strengths, and the pictures that they look at. */
import { NijimiError } from "../../errors.ts";
import { readImage } from "../../images/codec.ts";
import type { PipelineOptions } from "../../pipelines/pipeline.ts";
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

/** Adapters and their pictures, in order. @throws NijimiError `option` unless there is a picture for each */
function pairsOf(given: Given, adapter: PairName): Pair[] {
  const pictures = adapter === "controlNet" ? "controlImage" : (`${adapter}Image` as const);
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

/** The use that a request makes of them; their pictures are read. */
export async function adapterUsesOf(
  given: Given,
): Promise<Pick<GenerationRequest, "loras" | "control" | "imagePrompts" | "adapters">> {
  const { controlScale, controlStart: start, controlEnd: end, guessMode, t2iAdapterEnd } = given;
  const loras = lorasOf(given).map(({ use }) => use);
  const control: ControlUse[] = [];
  for (const { name, scale = controlScale, image } of pairsOf(given, "controlNet"))
    control.push({ name, image: await readImage(image), scale, start, end, guessMode });
  const imagePrompts: ImagePromptUse[] = [];
  for (const { name, scale, image } of pairsOf(given, "ipAdapter")) {
    const images = await Promise.all(image.split(",").map((file) => readImage(file)));
    imagePrompts.push({ name, images, scale });
  }
  const adapters: PictureAdapterUse[] = [];
  for (const { name, scale, image } of pairsOf(given, "t2iAdapter"))
    adapters.push({ name, image: await readImage(image), scale, end: t2iAdapterEnd });
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
