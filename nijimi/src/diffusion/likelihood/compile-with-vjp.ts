/**
 * A traced network compiled with its vector–Jacobian product: what likelihoods need for the
 * divergence, and classifier and CLIP guidance for their gradients.
 */
import { vectorJacobianProduct } from "../../graph/gradient.ts";
import { spec } from "../../graph/trace.ts";
import { compile, type CompileOptions } from "../../runtime/compile.ts";
import { float32, type Tensor } from "../../tensor/tensor.ts";
import type { TracedNetwork } from "../losses/traced.ts";
import type { WithVjp } from "./probability-flow.ts";

/** A {@link WithVjp} that holds a session. */
export interface CompiledWithVjp {
  readonly call: WithVjp;
  readonly dispose: () => Promise<void>;
}

/**
 * Compiles `network` for states of `shape`; the noise level reaches it as float32 [B].
 *
 * @example
 * const score = await compileWithVjp((x, t) => unet(x, t), [2, 3, 32, 32], { parameters });
 * const { logLikelihood } = await sdeLogLikelihood({ sde: vpSde(), score: score.call, x, v });
 */
export async function compileWithVjp(
  network: TracedNetwork,
  shape: readonly number[],
  options: CompileOptions = {},
): Promise<CompiledWithVjp> {
  const state = spec("float32", shape);
  const compiled = await compile(
    ({ x, level, v }) => {
      const value = network(x, level);
      const [vjp] = vectorJacobianProduct([value], [v], [x]);
      return { value, vjp };
    },
    { x: state, level: spec("float32", [shape[0]]), v: state },
    options,
  );
  return {
    call: async (x, level, v) => {
      const levels = float32([shape[0]], new Float32Array(shape[0]).fill(level));
      return (await compiled({ x, level: levels, v })) as Record<
        "value" | "vjp",
        Tensor<"float32">
      >;
    },
    dispose: () => compiled.dispose(),
  };
}
