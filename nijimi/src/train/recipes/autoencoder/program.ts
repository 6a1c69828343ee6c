/**
 * The training program of an autoencoder: reconstruction by absolute and squared error and by perceptual distance, a
 * term for the latents, and a patch discriminator, whose weight is balanced at the decoder's last layer.
 *
 * All terms are means over elements, so that weights do not depend on sizes. Differs from VQGAN (arXiv:2012.09841) in
 * that both players move at once, from the same reconstruction, and in the discriminator's norm (groups of channels).
 */
import { abs, add, mean, mul, square, stopGradient, sub } from "../../../graph/ops.ts";
import { spec } from "../../../graph/trace.ts";
import type { patchDiscriminator } from "../../../models/patch-discriminator.ts";
import { adaptiveWeight, generatorLoss, hingeLoss } from "../../losses/adversarial.ts";
import type { Losses, LossInputs, Player, Program } from "../../program.ts";
import type { PerceptualDistance } from "./perceptual.ts";
import type { TrainedAutoencoder } from "./posterior.ts";

/** Weights of the terms. */
export interface AutoencoderWeights {
  readonly absoluteWeight: number;
  readonly squaredWeight: number;
  readonly latentWeight: number;
  readonly perceptualWeight: number;
  readonly adversarialWeight: number;
  /** Update at which the adversarial term sets in. The discriminator learns from the first. */
  readonly adversarialStart: number;
}

/** What a program is made of. */
export interface AutoencoderParts {
  readonly autoencoder: TrainedAutoencoder;
  readonly player: Player;
  readonly weights: AutoencoderWeights;
  /** [B, C, H, W] */
  readonly shape: readonly number[];
  readonly perceptual?: PerceptualDistance;
  readonly discriminator?: Discriminator;
}

/** The second player. */
export interface Discriminator {
  readonly net: ReturnType<typeof patchDiscriminator>;
  readonly player: Player;
}

/** The program; the autoencoder's player is called `model`, the other one `discriminator`. */
export function autoencoderProgram(parts: AutoencoderParts): Program {
  const { autoencoder, player, weights, shape, perceptual, discriminator } = parts;
  return {
    players: { model: player, ...(discriminator && { discriminator: discriminator.player }) },
    batch: { images: spec("float32", shape), ...autoencoder.batch },
    ...(perceptual && { frozen: { perceptual: perceptual.weights } }),
    ...(discriminator && {
      controls: (update) => ({ adversarial: update < weights.adversarialStart ? 0 : 1 }),
    }),
    losses: (inputs) => lossesOf(parts, inputs),
  };
}

function lossesOf(
  { autoencoder, weights, perceptual, discriminator, player }: AutoencoderParts,
  { scopes, batch, controls }: LossInputs,
): Losses {
  const { model } = scopes;
  const { image, latentLoss } = autoencoder.reconstruct(model, batch["images"], batch);
  const difference = sub(image, batch["images"]);
  const [absolute, squared] = [mean(abs(difference)), mean(square(difference))];
  const pixels = add(mul(absolute, weights.absoluteWeight), mul(squared, weights.squaredWeight));
  const distance = perceptual?.distance(scopes["perceptual"], batch["images"], image);
  const reconstruction =
    distance === undefined ? pixels : add(pixels, mul(distance, weights.perceptualWeight));
  const plain = add(reconstruction, mul(latentLoss, weights.latentWeight));
  const metrics = {
    absolute,
    squared,
    latent: latentLoss,
    ...(distance && { perceptual: distance }),
  };
  if (discriminator === undefined) return { losses: { model: plain }, metrics };

  const judge = (pictures: typeof image) =>
    discriminator.net.apply(scopes["discriminator"], "", pictures);
  const generator = generatorLoss(judge(image));
  const lastLayer = model.parameter(
    autoencoder.lastLayer,
    player.parameters[autoencoder.lastLayer],
  );
  const balance = adaptiveWeight(reconstruction, generator, lastLayer);
  const weight = mul(mul(balance, weights.adversarialWeight), controls["adversarial"]);
  return {
    losses: {
      model: add(plain, mul(weight, generator)),
      discriminator: hingeLoss(judge(batch["images"]), judge(stopGradient(image))),
    },
    metrics: { ...metrics, generator, balance },
  };
}
