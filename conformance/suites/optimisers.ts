/** Optimisers, clipping and learning-rate schedules against torch and diffusers. */
import { concat, reshape, spec, type Sym } from "nijimi/graph";
import { compile } from "nijimi/runtime";
import { float32, type Tensor } from "nijimi/tensor";
import {
  adam,
  adamW,
  clipByNorm,
  CONTROL,
  LEARNING_RATE_SCHEDULES,
  learningRateAt,
  type LearningRateSchedule,
  type Optimiser,
  sgd,
} from "nijimi/train";
import type { Case, Comparison, Suite } from "../case.ts";
import { below } from "./run-layer.ts";
import { configNumber, float32Of, namedComparer } from "./named-values.ts";

const OPTIMISER = /^torch\.optim \((adamw|adam|sgd)(?![a-z])/;
const CLIPPING = "torch.nn.utils.clip_grad_norm_";
const SCHEDULES = "diffusers.optimization.get_scheduler";

export const suite: Suite = {
  kind: "optimisers",
  accepts: ({ json }) =>
    OPTIMISER.test(json.function ?? "") ||
    json.function === CLIPPING ||
    json.function === SCHEDULES,
  run: (c) =>
    c.json.function === CLIPPING
      ? runClipping(c)
      : c.json.function === SCHEDULES
        ? Promise.resolve(runSchedules(c))
        : runOptimiser(c),
};

/** The optimiser that a case's configuration describes, in torch's words. */
function readOptimiser(c: Case): Optimiser {
  const config = c.json.config ?? {};
  const number = (name: string, fallback: number) => configNumber(c, name, fallback);
  const flag = (name: string) => config[name] === true;
  const kind = OPTIMISER.exec(c.json.function ?? "")?.[1];
  if (kind === "sgd")
    return sgd({
      momentum: number("momentum", 0),
      dampening: number("dampening", 0),
      weightDecay: number("weight_decay", 0),
      nesterov: flag("nesterov"),
      maximize: flag("maximize"),
    });
  const decoupled = kind === "adamw" || flag("decoupled_weight_decay");
  return (decoupled ? adamW : adam)({
    betas: (config["betas"] as [number, number] | undefined) ?? [0.9, 0.999],
    eps: number("eps", 1e-8),
    weightDecay: number("weight_decay", decoupled ? 0.01 : 0),
    amsgrad: flag("amsgrad"),
    maximize: flag("maximize"),
  });
}

/** The parameters after each of the given gradients. */
async function runOptimiser(c: Case): Promise<Comparison[]> {
  const optimiser = readOptimiser(c);
  const gradients = float32Of(c, "in.grads");
  const trajectory = float32Of(c, "out.trajectory");
  const [count, ...shape] = gradients.shape;
  const size = gradients.data.length / count;
  const row = ({ data }: Tensor<"float32">, i: number) =>
    float32([size], data.slice(i * size, (i + 1) * size));
  const vector = spec("float32", [size]);
  const { learningRate, step } = CONTROL;
  const update = await compile((inputs) => optimiser.update(inputs), {
    parameters: vector,
    gradient: vector,
    state: Object.fromEntries(optimiser.state.map((name) => [name, vector])),
    learningRate,
    step,
  });
  let parameters: Tensor = row(trajectory, 0);
  let state: Record<string, Tensor> = Object.fromEntries(
    optimiser.state.map((name) => [name, float32([size], new Float32Array(size))]),
  );
  const got = [...row(trajectory, 0).data];
  for (let i = 0; i < count; i++) {
    ({ parameters, state } = await update({
      parameters,
      state,
      gradient: row(gradients, i),
      learningRate: float32([], [configNumber(c, "lr")]),
      step: float32([], [i + 1]),
    }));
    got.push(...(parameters.data as Float32Array));
  }
  await update.dispose();
  if (trajectory.shape.length !== shape.length + 1) throw new Error("trajectory: unexpected shape");
  return namedComparer(c)("out.trajectory", got);
}

/** The gradients of a list of parameters, clipped together. */
async function runClipping(c: Case): Promise<Comparison[]> {
  const inputs = below(c.tensors(), "in.");
  const names = Object.keys(inputs);
  const clip = await compile(
    (gradients: Record<string, Sym>) => {
      const flat = names.map((name) => reshape(gradients[name], [-1]));
      return clipByNorm(concat(flat, 0), configNumber(c, "max_norm"), {
        normType: readNormType(c.json.config?.["norm_type"]),
      });
    },
    Object.fromEntries(names.map((name) => [name, spec("float32", inputs[name].shape)])),
  );
  const { gradient, norm } = await clip(inputs);
  await clip.dispose();
  const compare = namedComparer(c);
  let offset = 0;
  const clipped = names.flatMap((name) => {
    const { length } = inputs[name].data;
    const part = (gradient.data as Float32Array).slice(offset, (offset += length));
    return compare(`out.${name}`, part);
  });
  return [...clipped, ...compare("out.norm", norm.data as Float32Array)];
}

/** JSON has no infinity: it may be written as a word. */
function readNormType(value: unknown): number {
  return value === undefined ? 2 : /inf/i.test(String(value)) ? Infinity : Number(value);
}

/** The rate of every update, for each schedule that the case lists. */
function runSchedules(c: Case): Comparison[] {
  const compare = namedComparer(c);
  const optional = (ours: string, theirs: string) =>
    c.json.config?.[theirs] === undefined ? {} : { [ours]: configNumber(c, theirs) };
  const rules = c.json.config?.["step_rules"];
  return Object.entries(c.tensors()).flatMap(([tensor, { data }]) => {
    const name = tensor.slice(tensor.indexOf(".") + 1) as LearningRateSchedule;
    if (!LEARNING_RATE_SCHEDULES.includes(name)) throw new Error(`no schedule ${name}`);
    const options = {
      ...optional("warmupSteps", "num_warmup_steps"),
      ...optional("trainingSteps", "num_training_steps"),
      // get_scheduler hands these to one schedule each.
      ...(name === "cosine_with_restarts" && optional("cycles", "num_cycles")),
      ...(name === "polynomial" && optional("power", "power")),
      ...optional("lastRate", "lr_end"),
      ...(typeof rules === "string" && { rules }),
    };
    const rates = Array.from({ length: data.length }, (_, step) =>
      learningRateAt(name, configNumber(c, "base_lr"), step, options),
    );
    return compare(tensor, rates);
  });
}
