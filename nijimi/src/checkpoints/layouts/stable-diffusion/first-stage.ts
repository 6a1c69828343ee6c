/** The autoencoders of latent diffusion: KL and VQ, in taming-transformers' layout. */
import type { Entries, Entry } from "../../checkpoint.ts";
import type { JsonObject } from "../../json.ts";
import { autoencoderMap, pyramidOutline } from "../autoencoder.ts";
import { mappedComponent, type Component } from "../component.ts";
import { autoencoderConfig, header, shapeOf } from "./configs.ts";

/**
 * Reads an autoencoder, with or without its training loss beside it.
 *
 * @param scalingFactor what a KL autoencoder's latents are multiplied by
 */
export function readFirstStage(
  entries: Entries,
  scalingFactor: number,
  architecture?: JsonObject,
): Component {
  const own = Object.fromEntries(
    Object.entries(entries).filter(([name]): boolean => !/^(loss|model_ema)\./.test(name)),
  ) as Record<string, Entry>;
  const map = autoencoderMap(pyramidOutline(own));
  const found = autoencoderConfig(own, scalingFactor, architecture);
  if (!("quantize.embedding.weight" in own))
    return mappedComponent("AutoencoderKL", found, own, map);
  const [codes, width] = shapeOf(own, "quantize.embedding.weight");
  const {
    use_quant_conv: _quant,
    use_post_quant_conv: _post,
    sample_size: _size,
    ...shared
  } = found.config;
  const config = { ...shared, ...header("VQModel"), num_vq_embeddings: codes, vq_embed_dim: width };
  return mappedComponent("VQModel", { ...found, config }, own, map);
}
