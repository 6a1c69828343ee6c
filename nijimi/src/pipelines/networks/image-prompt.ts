/**
 * An IP-Adapter as the pipelines use it. CLIP's image tower, the projection to tokens, and the keys and values that
 * each of the U-Net's attentions makes of them depend on the picture alone, so they are run once per picture; the
 * U-Net's session gets keys and values as inputs, and another adapter, picture or scale is no new session.
 */
import type { Entry } from "../../checkpoints/checkpoint.ts";
import type { JsonObject } from "../../checkpoints/json.ts";
import { ipAdapterMap } from "../../checkpoints/layouts/authors/ip-adapter.ts";
import type { Component } from "../../checkpoints/layouts/component.ts";
import { toOurs } from "../../checkpoints/layouts/key-map.ts";
import { outlineOfConfig } from "../../checkpoints/layouts/unet-outline.ts";
import { NijimiError } from "../../errors.ts";
import { matmul, mul, parameter, reshape, transpose } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { spec } from "../../graph/trace.ts";
import { clipVisionWithProjection, readClipVisionConfig } from "../../models/clip.ts";
import { imageProjection } from "../../models/image-projection.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import { float32, type Tensor, zeros } from "../../tensor/tensor.ts";
import { type Disposable, renewable } from "./renewable.ts";
import { crossAttentions, type ImageTokens, type Unet } from "./unet.ts";
import { bindWeights, type RuntimeOptions, sessionOptions } from "./weights.ts";

type F32 = Tensor<"float32">;

/** What an attention sees of pictures, with the prompt and with the negative prompt; batch 1. */
export interface EncodedPictures {
  readonly given: ImageTokens;
  /** In the place of no picture. */
  readonly blank: ImageTokens;
}

/** An IP-Adapter. */
export interface ImagePrompt {
  /** Side of the square pictures that the image tower takes. */
  readonly size: number;
  /** @param pictures normalised as for CLIP, [N, 3, size, size]; all are shown side by side */
  encode(pictures: F32): Promise<EncodedPictures>;
  release(): Promise<void>;
}

/** The three parts of an IP-Adapter. */
export interface ImagePromptParts {
  /** CLIP's image tower with its projection. */
  readonly encoder: Component;
  readonly projection: Component;
  /** Keys and values, by number or by path. */
  readonly attention: Component;
}

interface Session extends Disposable {
  run(image: F32, keep: number): Promise<ImageTokens>;
}

/**
 * The IP-Adapter of its parts.
 *
 * @param unet the U-Net it is for, with the config as diffusers writes it
 * @throws NijimiError `checkpoint` when the parts were made for other networks
 */
export function imagePrompt(
  { encoder, projection, attention }: ImagePromptParts,
  unet: Pick<Unet, "parameters"> & { readonly json: JsonObject },
  options: RuntimeOptions,
): ImagePrompt {
  const vision = readClipVisionConfig(encoder.config);
  const tower = clipVisionWithProjection(vision);
  const { sees, layer } = imageProjection(projection.className, projection.config);
  const widths = crossAttentions(unet.parameters);
  const weights = attentionWeights(placedEntries(attention.entries, unet.json), widths);
  const entries = {
    ...prefixed("encoder.", encoder.entries),
    ...prefixed("projection.", projection.entries),
    ...weights,
  };
  const names = [
    ...Object.keys(tower.parameters).map((name) => `encoder.${name}`),
    ...Object.keys(layer.parameters).map((name) => `projection.${name}`),
    ...Object.keys(weights),
  ];
  requireEntries(names, entries);

  const forward = ({ image, keep }: { readonly image: Sym; readonly keep: Sym }) => {
    const seen = tower.apply(parameterScope({ prefix: "encoder." }), "", image);
    const features = sees === "embedding" ? mul(seen.embeds, keep) : seen.hiddenStates.at(-2);
    const tokens = layer.apply(parameterScope({ prefix: "projection." }), "", features as Sym);
    const context = tokens.shape[2] as number;
    const row = reshape(tokens, [1, -1, context]);
    const project = (name: string) => {
      const { shape } = weights[name];
      return matmul(row, transpose(parameter(name, shape), [1, 0]));
    };
    return Object.fromEntries(
      Object.keys(widths).map((path) => [
        path,
        {
          keys: project(`${path}.processor.to_k_ip.0.weight`),
          values: project(`${path}.processor.to_v_ip.0.weight`),
        },
      ]),
    );
  };
  const sessions = renewable<null, Session>(
    async () => {
      const bound = await bindWeights({ entries }, names, options);
      const run = await compile(
        forward,
        {
          image: spec("float32", [
            "pictures",
            vision.numChannels,
            vision.imageSize,
            vision.imageSize,
          ]),
          keep: spec("float32", [1]),
        },
        { ...sessionOptions(options), ...bound },
      );
      return {
        dispose: () => run.dispose(),
        run: async (image, keep) =>
          (await run({ image, keep: float32([1], [keep]) })) as unknown as ImageTokens,
      };
    },
    (old) => old,
  );
  return {
    size: vision.imageSize,
    async encode(pictures) {
      const session = await sessions.get(null);
      // No picture is an embedding of zeros, or the states of a picture of zeros.
      const blank = sees === "states" ? zeros("float32", pictures.shape) : pictures;
      return { given: await session.run(pictures, 1), blank: await session.run(blank, 0) };
    },
    release: () => sessions.release(),
  };
}

type EntryRecord = Readonly<Record<string, Entry>>;

function prefixed(prefix: string, entries: EntryRecord): EntryRecord {
  return Object.fromEntries(Object.entries(entries).map(([name, entry]) => [prefix + name, entry]));
}

/** Under the attention's paths: some files have numbers in their place. */
function placedEntries(entries: EntryRecord, unet: JsonObject): EntryRecord {
  const hasPaths = Object.keys(entries).some((name) => name.includes(".processor."));
  return hasPaths ? entries : toOurs(ipAdapterMap(outlineOfConfig(unet)), entries).entries;
}

/** The two matrices of every attention to the text. */
function attentionWeights(
  placed: EntryRecord,
  widths: Readonly<Record<string, number>>,
): Readonly<Record<string, Entry>> {
  const weights: Record<string, Entry> = {};
  for (const [path, width] of Object.entries(widths))
    for (const name of ["to_k_ip", "to_v_ip"]) {
      const key = `${path}.processor.${name}.0.weight`;
      const entry = placed[key];
      if (entry === undefined || entry.shape[0] !== width)
        throw new NijimiError(
          "checkpoint",
          `The IP-Adapter has ${entry === undefined ? "nothing" : `a width of ${entry.shape[0]}`} for ${path}, which is ${width} wide: it was made for another U-Net.`,
        );
      weights[key] = entry;
    }
  return weights;
}

function requireEntries(names: readonly string[], entries: EntryRecord): void {
  const missing = names.filter((name) => !(name in entries));
  if (missing.length > 0)
    throw new NijimiError(
      "checkpoint",
      `The IP-Adapter lacks ${missing.slice(0, 3).join(", ")}${missing.length > 3 ? ` and ${missing.length - 3} more` : ""}; its image encoder must be a CLIP image tower with projection.`,
    );
}
