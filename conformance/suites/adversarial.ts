/** Patch discriminators and the losses of adversarial autoencoders against taming-transformers and latent-diffusion. */
import { autoencoderMap, pyramidOutline, toOurs } from "nijimi/checkpoints";
import {
  abs,
  add,
  conv2d,
  div,
  exp,
  gradients,
  mean,
  mul,
  spec,
  square,
  sub,
  sum,
  type Sym,
} from "nijimi/graph";
import {
  autoencoderKl,
  AUTOENCODER_KL_DEFAULTS,
  klToStandardNormal,
  type PatchDiscriminatorConfig,
  patchDiscriminator,
  splitMoments,
  VQ_MODEL_DEFAULTS,
  vqModel,
} from "nijimi/models";
import { recordScope, type Scope } from "nijimi/nn";
import { compile } from "nijimi/runtime";
import { type Tensor, toFloat64 } from "nijimi/tensor";
import { adaptiveWeight, crossEntropyLoss, generatorLoss, hingeLoss } from "nijimi/train";
import type { Case, Comparison, Suite } from "../case.ts";
import { configNumber, namedComparer } from "./named-values.ts";
import { below } from "./run-layer.ts";

type Tensors = Readonly<Record<string, Tensor>>;

const RUNNERS: readonly (readonly [RegExp, (c: Case) => Promise<Comparison[]>])[] = [
  [/NLayerDiscriminator$/, runDiscriminator],
  [/vqperceptual\.VQLPIPSWithDiscriminator\.forward$/, runLastLayer],
  [/^VQLPIPSWithDiscriminator$/, runVectorQuantised],
  [/contperceptual$/, runGaussian],
];

export const suite: Suite = {
  kind: "adversarial",
  accepts: ({ json }) => runnerOf(json.function) !== undefined,
  run: (c) => runnerOf(c.json.function)!(c),
};

function runnerOf(name = "") {
  return RUNNERS.find(([pattern]) => pattern.test(name))?.[1];
}

/** Compares every tensor of a result by its name. */
function compareAll(c: Case, results: Readonly<Record<string, Tensor>>): Comparison[] {
  const compare = namedComparer(c);
  return Object.entries(results).flatMap(([name, value]) => compare(name, toFloat64(value)));
}

const specsOf = (tensors: Tensors) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape }]) => [name, spec(dtype, shape)]),
  );

/** Runs a graph over the case's inputs with weights that gradients can be taken of. */
async function evaluate(
  inputs: Tensors,
  weights: Tensors,
  fn: (inputs: Readonly<Record<string, Sym>>, weights: Readonly<Record<string, Sym>>) => object,
): Promise<Record<string, Tensor>> {
  const floats = Object.fromEntries(
    Object.entries(weights).filter(([, { dtype }]) => dtype === "float32"),
  );
  const run = await compile(
    (given: { inputs: Record<string, Sym>; weights: Record<string, Sym> }) =>
      fn(given.inputs, given.weights),
    { inputs: specsOf(inputs), weights: specsOf(floats) } as never,
  );
  const result = await run({ inputs, weights: floats } as never);
  await run.dispose();
  return result as unknown as Record<string, Tensor>;
}

/** Logits in both modes, losses, gradients and running statistics of a discriminator. */
async function runDiscriminator(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const actnorm = c.json.config?.["use_actnorm"] === true;
  const net = patchDiscriminator({
    channels: configNumber(c, "ndf", 64),
    layers: configNumber(c, "n_layers", 3),
    norm: actnorm ? "act" : "batch",
  });
  const results = await evaluate(below(tensors, "in."), below(tensors, "w."), (inputs, w) => {
    const before: Sym[] = [];
    const scope = recordScope(w, {
      intercept: ({ path, args }, proceed) => {
        if (path === "main.3") before.push(args[0] as Sym);
        return proceed(...args);
      },
    });
    const evaluated = net.apply(scope, "", inputs["real"]);
    before.length = 0;
    const [real, fake] = [inputs["real"], inputs["fake"]].map((x) =>
      net.apply(scope, "", x, { training: true }),
    );
    const hinge = hingeLoss(real, fake);
    const wanted = Object.keys(below(tensors, "grad.w."));
    const found = gradients(
      hinge,
      wanted.map((name) => w[name]),
    );
    return {
      "out.logits_eval": evaluated,
      "out.logits_real_train": real,
      "out.logits_fake_train": fake,
      "out.hinge": hinge,
      "out.vanilla": crossEntropyLoss(real, fake),
      "out.g_loss": generatorLoss(fake),
      ...(actnorm ? {} : runningStatistics(w, before)),
      ...Object.fromEntries(wanted.map((name, i) => [`grad.w.${name}`, found[i]])),
    };
  });
  return compareAll(c, results);
}

/** torch's running statistics of the first batch norm after seeing both batches, with momentum 0.1. */
function runningStatistics(w: Readonly<Record<string, Sym>>, batches: readonly Sym[]) {
  const follow = (old: Sym, now: Sym): Sym => add(mul(old, 0.9), mul(now, 0.1));
  let [center, variance] = [w["main.3.running_mean"], w["main.3.running_var"]];
  for (const x of batches) {
    const axes = [0, 2, 3];
    const [n, , h, width] = x.shape as readonly number[];
    const count = n * h * width;
    const spread = mean(square(sub(x, mean(x, { axes, keepDims: true }))), { axes });
    center = follow(center, mean(x, { axes }));
    variance = follow(variance, mul(spread, count / (count - 1)));
  }
  return { "out.running_mean_after": center, "out.running_var_after": variance };
}

/** What the generator's side of a loss is made of. */
interface Generator {
  /** Scalar. */
  readonly nll: Sym;
  /** Logits of the discriminator for the reconstruction. */
  readonly fake: Sym;
  readonly lastLayer: Sym;
  readonly weight: number;
  /** 0 before the discriminator starts, else 1. */
  readonly factor: number;
}

/** The adversarial term, weighted, and its parts. */
function adversarialTerm({ nll, fake, lastLayer, weight, factor }: Generator) {
  const loss = generatorLoss(fake);
  const adaptive = mul(adaptiveWeight(nll, loss, lastLayer), weight);
  return { loss, adaptive, term: mul(mul(adaptive, loss), factor) };
}

function discriminatorOf(c: Case): ReturnType<typeof patchDiscriminator> {
  const config: PatchDiscriminatorConfig = {
    channels: configNumber(c, "ndf", configNumber(c, "disc_ndf", 64)),
    layers: configNumber(c, "n_layers", configNumber(c, "disc_num_layers", 3)),
  };
  return patchDiscriminator(config);
}

/** LDM's loss of a VQ autoencoder whose reconstruction is one convolution of given features. */
async function runLastLayer(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const { indices, ...inputs } = below(tensors, "in.");
  const net = discriminatorOf(c);
  const training = true;
  const factor = configNumber(c, "global_step", 0) < configNumber(c, "disc_start") ? 0 : 1;
  const results = await evaluate(inputs, below(tensors, "w.discriminator."), (x, w) => {
    const scope = recordScope(w);
    const lastLayer = x["last_layer.weight"];
    const reconstruction = conv2d(x["hidden"], lastLayer, x["last_layer.bias"], { padding: 1 });
    const nll = mean(abs(sub(x["image"], reconstruction)));
    const fake = net.apply(scope, "", reconstruction, { training });
    const real = net.apply(scope, "", x["image"], { training });
    const weight = configNumber(c, "disc_weight");
    const { loss, adaptive, term } = adversarialTerm({ nll, fake, lastLayer, weight, factor });
    const rest = add(nll, mul(x["quant_loss"], configNumber(c, "codebook_weight")));
    const total = add(rest, term);
    const discriminator = mul(hingeLoss(real, fake), factor);
    const wanted = Object.keys(below(tensors, "grad.d.w.discriminator."));
    const found = gradients(
      discriminator,
      wanted.map((name) => w[name]),
    );
    return {
      "out.reconstruction": reconstruction,
      "out.g.rec_loss": nll,
      "out.g.nll_loss": nll,
      "out.g.g_loss": loss,
      "out.g.d_weight": adaptive,
      "out.g.total_loss": total,
      "out.g.loss": total,
      "out.g.loss_before_disc_start": rest,
      "out.g.quant_loss": x["quant_loss"],
      "out.d.disc_loss": discriminator,
      "out.d.loss": discriminator,
      "out.d.logits_real": mean(real),
      "out.d.logits_fake": mean(fake),
      "grad.g.last_layer.weight": gradients(total, [lastLayer])[0],
      ...Object.fromEntries(wanted.map((name, i) => [`grad.d.w.discriminator.${name}`, found[i]])),
    };
  });
  const compare = namedComparer(c);
  const { perplexity, used } = usage(indices, configNumber(c, "n_classes"));
  return [
    ...compareAll(c, results),
    ...compare("out.g.perplexity", [perplexity]),
    ...compare("out.g.cluster_usage", [used]),
    ...compare("out.g.disc_factor", [factor]),
    ...compare("out.g.p_loss", [0]),
  ];
}

/** exp of the entropy of how often the entries of a codebook are used, and how many are. */
function usage({ data }: Tensor, entries: number): { perplexity: number; used: number } {
  const counts = new Float64Array(entries);
  for (const index of data as BigInt64Array) counts[Number(index)]++;
  const shares = counts.map((count) => count / data.length);
  const entropy = shares.reduce((total, p) => total - p * Math.log(p + 1e-10), 0);
  return { perplexity: Math.exp(entropy), used: shares.filter((p) => p > 0).length };
}

/** The autoencoder's weights under our names. */
async function autoencoderWeights(tensors: Tensors): Promise<Record<string, Tensor>> {
  const entries = Object.fromEntries(
    Object.entries(tensors).map(([name, value]) => [
      name,
      { dtype: value.dtype, shape: value.shape, read: async () => value },
    ]),
  );
  const { entries: mapped } = toOurs(autoencoderMap(pyramidOutline(entries)), entries);
  const named = Object.entries(mapped).map(async ([name, entry]) => [name, await entry.read()]);
  return Object.fromEntries(await Promise.all(named)) as Record<string, Tensor>;
}

/** What the authors' `ddconfig` of these cases is in diffusers' words: two levels, attention in the second. */
const SHAPE = {
  blockOutChannels: [32, 32],
  downBlockTypes: ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
  upBlockTypes: ["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
};

/** A reconstruction with the terms that belong to the latents. */
interface Reconstruction {
  readonly image: Sym;
  readonly nll: Sym;
  readonly latentTerm: Sym;
  readonly latentWeight: number;
  /** Names the latent term in the case. */
  readonly latentName: string;
}

/** Runs the loss at every step that the case looks at. */
async function runSteps(
  c: Case,
  inputs: Tensors,
  autoencoder: Tensors,
  reconstruct: (scope: Scope, inputs: Readonly<Record<string, Sym>>) => Reconstruction,
): Promise<Comparison[]> {
  const tensors = c.tensors();
  const weights = {
    ...autoencoder,
    ...Object.fromEntries(
      Object.entries(below(tensors, "w.discriminator.")).map(([name, value]) => [
        `discriminator.${name}`,
        value,
      ]),
    ),
  };
  const net = discriminatorOf(c);
  const found = Object.keys(tensors).flatMap((name) => /^out\.(step\d+)\./.exec(name)?.[1] ?? []);
  const steps = [...new Set(found)];
  const factorAt = (step: string): number =>
    Number(step.slice(4)) < configNumber(c, "disc_start") ? 0 : 1;
  const results = await evaluate(inputs, weights, (x, w) => {
    const { image, nll, latentTerm, latentWeight, latentName } = reconstruct(recordScope(w), x);
    const scope = recordScope(w, { prefix: "discriminator." });
    const [real, fake] = [x["x"], image].map((pictures) => net.apply(scope, "", pictures));
    const lastLayer = w["decoder.conv_out.weight"];
    const rest = add(nll, mul(latentTerm, latentWeight));
    const outputs: Record<string, Sym> = {};
    for (const step of steps) {
      const factor = factorAt(step);
      const weight = configNumber(c, "disc_weight");
      const { loss, adaptive, term } = adversarialTerm({ nll, fake, lastLayer, weight, factor });
      const total = add(rest, term);
      const wanted = Object.keys(below(tensors, `grad.w.${step}.`));
      const gradient = gradients(
        total,
        wanted.map((name) => w[name]),
      );
      Object.assign(outputs, {
        [`out.${step}.total_loss`]: total,
        [`out.${step}.nll_loss`]: nll,
        [`out.${step}.rec_loss`]: mean(abs(sub(x["x"], image))),
        [`out.${step}.${latentName}`]: latentTerm,
        [`out.${step}.g_loss`]: loss,
        [`out.${step}.d_weight`]: adaptive,
        [`out.${step}.disc_loss`]: mul(hingeLoss(real, fake), factor),
        [`out.${step}.logits_real`]: mean(real),
        [`out.${step}.logits_fake`]: mean(fake),
        ...Object.fromEntries(wanted.map((name, i) => [`grad.w.${step}.${name}`, gradient[i]])),
      });
    }
    return outputs;
  });
  const compare = namedComparer(c);
  const factors = steps.flatMap((step) => compare(`out.${step}.disc_factor`, [factorAt(step)]));
  return [...compareAll(c, results), ...factors];
}

async function runVectorQuantised(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const weights = await autoencoderWeights(below(tensors, "w."));
  const [numVqEmbeddings, vqEmbedDim] = weights["quantize.embedding.weight"].shape;
  const model = vqModel({
    ...VQ_MODEL_DEFAULTS,
    ...SHAPE,
    latentChannels: weights["post_quant_conv.weight"].shape[0],
    numVqEmbeddings,
    vqEmbedDim,
  });
  return runSteps(c, below(tensors, "in."), weights, (scope, { x }) => {
    const { quantised, loss } = model.quantize.apply(scope, "", model.encode.apply(scope, "", x));
    const image = model.decode.apply(scope, "", quantised);
    return {
      image,
      nll: mean(abs(sub(x, image))),
      latentTerm: loss,
      latentWeight: configNumber(c, "codebook_weight"),
      latentName: "quant_loss",
    };
  });
}

async function runGaussian(c: Case): Promise<Comparison[]> {
  const tensors = c.tensors();
  const weights = await autoencoderWeights(below(tensors, "w.autoencoder."));
  const model = autoencoderKl({
    ...AUTOENCODER_KL_DEFAULTS,
    ...SHAPE,
    latentChannels: weights["post_quant_conv.weight"].shape[0],
  });
  return runSteps(c, below(tensors, "in."), weights, (scope, { x, logvar, posterior_noise }) => {
    const { moments, image } = model.whole.apply(scope, "", x, (found) => {
      const { mean: center, std } = splitMoments(found);
      return add(center, mul(std, posterior_noise));
    });
    const [batch] = x.shape as readonly number[];
    const error = add(div(abs(sub(x, image)), exp(logvar)), logvar);
    return {
      image,
      nll: div(sum(error), batch),
      latentTerm: div(sum(klToStandardNormal(moments)), batch),
      latentWeight: configNumber(c, "kl_weight"),
      latentName: "kl_loss",
    };
  });
}
