/**
 * Losses of a generator and a discriminator that train against each other, and the weight that balances them with a
 * reconstruction (Esser et al. 2021, VQGAN, arXiv:2012.09841, eq. 6–7).
 */
import { gradients } from "../../graph/gradient.ts";
import {
  add,
  clamp,
  div,
  mean,
  mul,
  neg,
  relu,
  softplus,
  sqrt,
  square,
  stopGradient,
  sub,
  sum,
} from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";

/** ½·(mean max(0, 1 − real) + mean max(0, 1 + fake)) of logits. */
export function hingeLoss(real: Sym, fake: Sym): Sym {
  return mul(add(mean(relu(sub(1, real))), mean(relu(add(fake, 1)))), 0.5);
}

/** ½·(mean softplus(−real) + mean softplus(fake)): the cross-entropy of logits. */
export function crossEntropyLoss(real: Sym, fake: Sym): Sym {
  return mul(add(mean(softplus(neg(real))), mean(softplus(fake))), 0.5);
}

/** What the generator wants of the discriminator's logits for its pictures: −mean. */
export function generatorLoss(fake: Sym): Sym {
  return neg(mean(fake));
}

/**
 * ‖∂reconstruction/∂w‖ / (‖∂generator/∂w‖ + 1e-4), at most 1e4, as a constant: with it both losses pull equally hard
 * at the weight w of the decoder's last layer.
 */
export function adaptiveWeight(reconstruction: Sym, generator: Sym, lastLayer: Sym): Sym {
  const [a] = gradients(reconstruction, [lastLayer]);
  const [b] = gradients(generator, [lastLayer]);
  return stopGradient(clamp(div(norm(a), add(norm(b), 1e-4)), 0, 1e4));
}

function norm(x: Sym): Sym {
  return sqrt(sum(square(x)));
}
