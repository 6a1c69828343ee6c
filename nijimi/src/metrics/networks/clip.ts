/** CLIP as a {@link FeatureNetwork} that also embeds texts: CLIP score, R-precision, CLIP-FID, aesthetic scores. */
import type { Entries } from "../../checkpoints/checkpoint.ts";
import { readAll } from "../../checkpoints/checkpoint.ts";
import { openSource, type SourceInput } from "../../checkpoints/files/open-source.ts";
import type { Component } from "../../checkpoints/layouts/component.ts";
import { describeOpened } from "../../checkpoints/layouts/load.ts";
import { openCheckpoint } from "../../checkpoints/open-checkpoint.ts";
import { NijimiError } from "../../errors.ts";
import { spec } from "../../graph/trace.ts";
import { createImage } from "../../images/image.ts";
import { type PreprocessOptions, preprocessForClip } from "../../images/preprocess.ts";
import {
  clipTextWithProjection,
  clipVisionWithProjection,
  readClipTextConfig,
  readClipVisionConfig,
} from "../../models/clip.ts";
import type { ConfigJson } from "../../models/config.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import { int64, type Tensor } from "../../tensor/tensor.ts";
import { createClipTokenizer } from "../../text/clip.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { loadClipVocabulary } from "../../text/vocabulary/load.ts";
import type { FeatureNetwork } from "./feature-network.ts";
import { KNOWN_WEIGHTS } from "./known-weights.ts";
import { sha256Of } from "./weights-file.ts";

/** A CLIP model, both towers. */
export interface ClipNetwork extends FeatureNetwork {
  /** Projected embeddings [N, D], not normalised. */
  embedTexts(texts: readonly string[]): Promise<Tensor>;
}

export interface ClipOptions extends SessionOptions {
  /** For figures and reports. @default the published name, or "clip" */
  readonly name?: string;
  /** @default CLIP's own */
  readonly tokenizer?: Tokenizer;
  /** How pictures are normalised. @default as CLIP's are */
  readonly normalise?: Pick<PreprocessOptions, "mean" | "std">;
}

/**
 * Opens CLIP from a file with both towers: OpenAI's, open_clip's or transformers' layout.
 *
 * @throws NijimiError `checkpoint` when the file holds no CLIP model, naming its hash
 * @example
 * const clip = await openClip("ViT-B-32.pt");
 * const { features } = await clip.embed(pictures);
 */
export async function openClip(
  input: SourceInput,
  options: ClipOptions = {},
): Promise<ClipNetwork> {
  const source = await openSource(input);
  const bytes = await source.read(0, source.size);
  await source.close();
  const sha256 = await sha256Of(bytes);
  const loaded = await describeOpened(await openCheckpoint(bytes));
  const model = Object.values(loaded.components).find(({ className }) => className === "CLIPModel");
  if (model === undefined || model.missing.length + model.mismatched.length > 0)
    throw new NijimiError(
      "checkpoint",
      `${source.name} (SHA-256 ${sha256}) is ${loaded.title}; expected a complete CLIP model with both towers.`,
    );
  return clipOfComponent(model, sha256, options);
}

/** CLIP over a component of a loaded checkpoint. */
export async function clipOfComponent(
  { config, entries }: Pick<Component, "config" | "entries">,
  sha256: string | undefined,
  { name, tokenizer: own, normalise, ...session }: ClipOptions = {},
): Promise<ClipNetwork> {
  const projectionDim = config.projection_dim;
  const of = (part: string): ConfigJson =>
    ({ ...(config[part] as object), projection_dim: projectionDim }) as ConfigJson;
  const visionConfig = readClipVisionConfig(of("vision_config"));
  const textConfig = readClipTextConfig(of("text_config"));
  const { imageSize } = visionConfig;
  const images = await compile(
    ({ x }) => clipVisionWithProjection(visionConfig).apply(parameterScope(), "", x).embeds,
    { x: spec("float32", ["batch", 3, imageSize, imageSize]) },
    { ...session, parameters: await readBelow(entries, ["vision_model.", "visual_projection."]) },
  );
  const texts = await compile(
    ({ ids }) => clipTextWithProjection(textConfig).apply(parameterScope(), "", { ids }).embeds,
    { ids: spec("int64", ["batch", textConfig.maxPositionEmbeddings]) },
    { ...session, parameters: await readBelow(entries, ["text_model.", "text_projection."]) },
  );
  const tokenizer =
    own ??
    createClipTokenizer({
      bpe: await loadClipVocabulary(),
      maxLength: textConfig.maxPositionEmbeddings,
    });
  const known = (["clip-vit-b-32", "clip-vit-l-14"] as const).find(
    (candidate) => KNOWN_WEIGHTS[candidate].sha256 === sha256,
  );
  return {
    name: name ?? known ?? "clip",
    ...(known === "clip-vit-b-32" && { standard: known }),
    resize: `bicubic ${imageSize}, centre crop`,
    ...(sha256 !== undefined && { sha256 }),
    dimensions: { features: visionConfig.projectionDim },
    embed: async (pictures) => ({
      features: await images({
        x: preprocessForClip(
          pictures.map(({ width, height, data }) => createImage(width, height, 3, data)),
          { size: imageSize, ...normalise },
        ),
      }),
    }),
    embedTexts: (given) => {
      const { maxLength } = tokenizer;
      const ids = given.flatMap((text) => [
        ...tokenizer.encode(text, { maxLength, padding: true }).ids,
      ]);
      return texts({ ids: int64([given.length, maxLength], ids) });
    },
    dispose: async () => {
      await images.dispose();
      await texts.dispose();
    },
  };
}

async function readBelow(
  entries: Entries,
  prefixes: readonly string[],
): Promise<Record<string, Tensor>> {
  const wanted = Object.entries(entries).filter(([name]) =>
    prefixes.some((prefix) => name.startsWith(prefix)),
  );
  return readAll(Object.fromEntries(wanted));
}
