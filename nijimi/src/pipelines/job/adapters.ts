/** The adapters that a request names: LoRAs, ControlNets, T2I-Adapters and IP-Adapters. */
import { NijimiError } from "../../errors.ts";
import type { Image } from "../../images/image.ts";
import { preprocessForClip } from "../../images/preprocess.ts";
import { tensorToImages } from "../../images/tensor.ts";
import { readLoraTag } from "../../text/prompt/networks.ts";
import { planPrompt } from "../../text/prompt/plan.ts";
import type { ImagePrompt } from "../conditioning/conditions.ts";
import type { ActiveDeltas } from "../networks/low-rank.ts";
import type { EncodedPictures } from "../networks/image-prompt.ts";
import type { ImageTokens } from "../networks/unet.ts";
import { type Picture, requireMultiple, requireSize, unitTensor } from "../pictures.ts";
import type { Pipeline } from "../pipeline.ts";
import type { GenerationRequest, LoraUse } from "../request.ts";
import type { ActiveControl, ActiveFeatures } from "../sampling/branch-network.ts";

/** A LoRA of a request. */
export interface ActiveLora {
  readonly name: string;
  readonly deltas: Readonly<Record<string, ActiveDeltas["deltas"]>>;
  readonly unetScale: number;
  readonly textScale: number;
}

/** LoRAs of the request and of the prompts' tags. */
export async function activeLoras(
  pipeline: Pipeline,
  { loras = [], grammar = "a1111" }: GenerationRequest,
  images: readonly ImagePrompt[],
): Promise<ActiveLora[]> {
  const tagged = images.map(({ prompt }) => lorasOfPrompt(prompt, grammar));
  if (tagged.some((own) => JSON.stringify(own) !== JSON.stringify(tagged[0])))
    throw new NijimiError(
      "option",
      "Prompts of one batch must name the same LoRAs; make the pictures one by one.",
    );
  const active: ActiveLora[] = [];
  for (const { name, scale = 1, textScale = scale } of [...loras, ...tagged[0]]) {
    const { deltas } = await pipeline.lora(name);
    active.push({ name, deltas, unetScale: scale, textScale });
  }
  return active;
}

function lorasOfPrompt(prompt: string, grammar: "a1111" | "plain"): LoraUse[] {
  return planPrompt(prompt, { steps: 1, grammar }).networks.map((tag) => {
    if (tag.kind !== "lora" && tag.kind !== "lyco")
      throw new NijimiError(
        "option",
        `prompt: <${tag.kind}:…> is not supported; accepted: lora, lyco.`,
      );
    const { name, unetWeight, textWeight } = readLoraTag(tag);
    return { name, scale: unetWeight, textScale: textWeight };
  });
}

/** The ControlNets of a request. */
export async function controlsOf(
  pipeline: Pipeline,
  { control = [] }: GenerationRequest,
  size: { readonly width: number; readonly height: number },
): Promise<ActiveControl[]> {
  const active: ActiveControl[] = [];
  for (const { name, image, scale = 1, start = 0, end = 1, guessMode = false } of control) {
    requireSize(`The picture for the ControlNet "${name}"`, image, size);
    if (!(start >= 0 && start < end && end <= 1))
      throw new NijimiError(
        "option",
        `ControlNet "${name}": 0 ≤ start < end ≤ 1 is needed; got ${start} and ${end}.`,
      );
    const network = await pipeline.controlNet(name);
    active.push({ network, hint: unitTensor(image, 3), scale, start, end, guessMode });
  }
  return active;
}

/** The T2I-Adapters of a request, run. */
export async function adaptersOf(
  pipeline: Pipeline,
  { adapters = [] }: GenerationRequest,
  size: { readonly width: number; readonly height: number },
): Promise<ActiveFeatures[]> {
  const active: ActiveFeatures[] = [];
  for (const { name, image, scale = 1, end = 1 } of adapters) {
    requireSize(`The picture for the adapter "${name}"`, image, size);
    const network = await pipeline.adapter(name);
    const { inChannels, downscaleFactor } = network.config;
    requireMultiple(size.width, size.height, downscaleFactor);
    const features = await network.run(unitTensor(image, inChannels === 1 ? 1 : 3));
    active.push({
      features: features.map((own) => ({ ...own, data: own.data.map((value) => value * scale) })),
      end,
    });
  }
  return active;
}

/** The IP-Adapters of a request, their pictures encoded. */
export async function imagePromptsOf(
  pipeline: Pipeline,
  { imagePrompts = [] }: GenerationRequest,
): Promise<EncodedPictures[]> {
  const active: EncodedPictures[] = [];
  for (const { name, images, scale = 1 } of imagePrompts) {
    if (images.length === 0)
      throw new NijimiError("option", `IP-Adapter "${name}": give at least one picture.`);
    const network = await pipeline.imagePrompt(name);
    const pictures = preprocessForClip(images.flatMap(asImages), {
      size: network.size,
      centring: "transformers",
    });
    const { given, blank } = await network.encode(pictures);
    active.push({ given: scaled(given, scale), blank: scaled(blank, scale) });
  }
  return active;
}

function asImages(picture: Picture): readonly Image[] {
  return "dtype" in picture
    ? tensorToImages({ ...picture, data: picture.data.map((value) => 2 * value - 1) })
    : [picture];
}

/** A scale of what is added is a scale of the values. */
function scaled(tokens: ImageTokens, scale: number): ImageTokens {
  return Object.fromEntries(
    Object.entries(tokens).map(([path, { keys, values }]) => [
      path,
      { keys, values: { ...values, data: values.data.map((value) => value * scale) } },
    ]),
  );
}
