/** Activations by the names that configs use. */
import { unknownName } from "../errors.ts";
import {
  elu,
  gelu,
  leakyRelu,
  mish,
  quickGelu,
  relu,
  sigmoid,
  silu,
  softplus,
  tanh,
} from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";

const ACTIVATIONS = {
  silu,
  swish: silu,
  mish,
  gelu: (x: Sym) => gelu(x),
  gelu_new: (x: Sym) => gelu(x, "tanh"),
  gelu_pytorch_tanh: (x: Sym) => gelu(x, "tanh"),
  "gelu-approximate": (x: Sym) => gelu(x, "tanh"),
  quick_gelu: quickGelu,
  relu,
  elu: (x: Sym) => elu(x),
  leaky_relu: (x: Sym) => leakyRelu(x),
  sigmoid,
  tanh,
  softplus,
  identity: (x: Sym) => x,
} as const;

export type ActivationName = keyof typeof ACTIVATIONS;

/** The activation of a config's `act_fn` or `hidden_act`. @throws NijimiError `option` for an unknown name */
export function activation(name: string): (x: Sym) => Sym {
  if (!Object.hasOwn(ACTIVATIONS, name))
    throw unknownName("activation", name, Object.keys(ACTIVATIONS));
  return ACTIVATIONS[name as ActivationName];
}
