/**
 * NCSN++'s levels: beside the features runs a small image that is filtered down, added to the features, and
 * gathered again on the way up (arXiv:2011.13456, appendix H, "input skip" and "output skip" by summation).
 */
import { add, concat, silu } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { conv2d, groupNorm } from "../../nn/basic.ts";
import { module } from "../../nn/layer.ts";
import { firDownsample2d, firUpsample2d, resnetBlock } from "./resnet.ts";
import {
  type DownLayer,
  type LevelContext,
  spatialAttention,
  type UpLayer,
} from "./unet-blocks.ts";

/** Options of the levels. */
export interface SkipLevelOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly tembChannels: number;
  readonly layers: number;
  readonly eps: number;
  readonly actFn: string;
  readonly timeEmbeddingNorm: string;
  readonly withAttention: boolean;
  readonly headDim: number;
  /** There is another level below (down) or above (up). */
  readonly resample: boolean;
}

/** Channels of the image that runs beside. */
const IMAGE_CHANNELS = 3;

const common = ({ tembChannels, eps, actFn, timeEmbeddingNorm }: SkipLevelOptions) => ({
  tembChannels,
  eps,
  actFn,
  timeEmbeddingNorm,
  outputScaleFactor: Math.SQRT2,
});

const norms = (channels: number): number => Math.min(Math.floor(channels / 4), 32);

const attentionOf = ({ outChannels, headDim, eps }: SkipLevelOptions) =>
  spatialAttention(outChannels, headDim, { groups: 32, eps, outputScaleFactor: Math.SQRT2 });

/** AttnSkipDownBlock2D and SkipDownBlock2D, going down. */
export function skipDownBlock(options: SkipLevelOptions): DownLayer {
  const { inChannels, outChannels, layers, withAttention, resample } = options;
  return module(
    {
      resnets: Array.from({ length: layers }, (_, i) => {
        const from = i === 0 ? inChannels : outChannels;
        return resnetBlock({
          ...common(options),
          inChannels: from,
          outChannels,
          groups: norms(from),
          groupsOut: norms(outChannels),
        });
      }),
      attentions: withAttention
        ? Array.from({ length: layers }, () => attentionOf(options))
        : undefined,
      resnetDown: resample
        ? resnetBlock({
            ...common(options),
            inChannels: outChannels,
            groups: norms(outChannels),
            useInShortcut: true,
            down: true,
            kernel: "fir",
          })
        : undefined,
      downsamplers: resample ? [firDownsample2d(outChannels)] : undefined,
      skipConv: resample ? conv2d(IMAGE_CHANNELS, outChannels, 1) : undefined,
    },
    (m, x: Sym, { temb, image: given }: LevelContext) => {
      const states: Sym[] = [];
      let h = x;
      let image = given;
      m.resnets.forEach((resnet, i) => {
        h = resnet(h, temb);
        h = m.attentions?.[i](h) ?? h;
        states.push(h);
      });
      if (m.resnetDown !== undefined && m.skipConv !== undefined && image !== undefined) {
        h = m.resnetDown(h, temb);
        for (const downsample of m.downsamplers ?? []) image = downsample(image);
        h = add(m.skipConv(image), h);
        states.push(h);
      }
      return { h, states, image };
    },
    { kind: "skipDownBlock" },
  );
}

/** AttnSkipUpBlock2D and SkipUpBlock2D, going up; the context's image is what was gathered so far. */
export function skipUpBlock(
  options: SkipLevelOptions & { readonly prevOutputChannel: number },
): UpLayer {
  const { inChannels, outChannels, prevOutputChannel, layers, withAttention, resample } = options;
  return module(
    {
      resnets: Array.from({ length: layers }, (_, i) => {
        const skip = i === layers - 1 ? inChannels : outChannels;
        const from = i === 0 ? prevOutputChannel : outChannels;
        // As published: with attention only the skip's channels are divided.
        const groups = withAttention
          ? Math.min(from + Math.floor(skip / 4), 32)
          : norms(from + skip);
        return resnetBlock({
          ...common(options),
          inChannels: from + skip,
          outChannels,
          groups,
          groupsOut: norms(outChannels),
        });
      }),
      attentions: withAttention ? [attentionOf(options)] : undefined,
      upsampler: firUpsample2d(inChannels),
      resnetUp: resample
        ? resnetBlock({
            ...common(options),
            inChannels: outChannels,
            groups: norms(outChannels),
            useInShortcut: true,
            up: true,
            kernel: "fir",
          })
        : undefined,
      skipConv: resample ? conv2d(outChannels, IMAGE_CHANNELS, 3, { padding: 1 }) : undefined,
      skipNorm: resample
        ? groupNorm(norms(outChannels), outChannels, { eps: options.eps })
        : undefined,
    },
    (m, x: Sym, skips: readonly Sym[], { temb, image: given }: LevelContext) => {
      let h = x;
      m.resnets.forEach((resnet, i) => {
        h = resnet(concat([h, skips[skips.length - 1 - i]], 1), temb);
      });
      h = m.attentions?.[0](h) ?? h;
      let image = given === undefined ? undefined : m.upsampler(given);
      if (m.resnetUp !== undefined && m.skipConv !== undefined && m.skipNorm !== undefined) {
        const own = m.skipConv(silu(m.skipNorm(h)));
        image = image === undefined ? own : add(image, own);
        h = m.resnetUp(h, temb);
      }
      return { h, image };
    },
    { kind: "skipUpBlock" },
  );
}
