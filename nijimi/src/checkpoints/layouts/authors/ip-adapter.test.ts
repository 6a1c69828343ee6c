import { expect, test } from "vitest";
import { float32 } from "../../../tensor/tensor.ts";
import { entryOf, type Entry } from "../../checkpoint.ts";
import { toOurs } from "../key-map.ts";
import { outlineOfConfig } from "../unet-outline.ts";
import { crossAttentionPaths, ipAdapterMap, readIpAdapter } from "./ip-adapter.ts";

const zeros = (...shape: number[]): Entry =>
  entryOf(float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))));

const OUTLINE = outlineOfConfig({
  block_out_channels: [32, 64],
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  layers_per_block: 1,
  cross_attention_dim: 16,
});

test("cross-attentions are numbered down, up, middle, as diffusers lists them", () => {
  expect(crossAttentionPaths(OUTLINE)).toEqual([
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2",
    "up_blocks.1.attentions.0.transformer_blocks.0.attn2",
    "up_blocks.1.attentions.1.transformer_blocks.0.attn2",
    "mid_block.attentions.0.transformer_blocks.0.attn2",
  ]);
  const { entries } = toOurs(ipAdapterMap(OUTLINE), { "7.to_k_ip.weight": zeros(64, 16) });
  expect(Object.keys(entries)).toEqual([
    "mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_k_ip.0.weight",
  ]);
});

const ATTENTION = {
  "ip_adapter.1.to_k_ip.weight": zeros(32, 16),
  "ip_adapter.1.to_v_ip.weight": zeros(32, 16),
};

test("the plain projection gives a few tokens", () => {
  const { image_projection, ip_adapter } = readIpAdapter({
    ...ATTENTION,
    "image_proj.proj.weight": zeros(64, 24),
    "image_proj.proj.bias": zeros(64),
    "image_proj.norm.weight": zeros(16),
    "image_proj.norm.bias": zeros(16),
  });
  expect(image_projection.className).toBe("ImageProjection");
  expect(image_projection.config).toMatchObject({
    image_embed_dim: 24,
    cross_attention_dim: 16,
    num_image_text_embeds: 4,
  });
  expect(Object.keys(image_projection.entries).sort()).toEqual([
    "image_embeds.bias",
    "image_embeds.weight",
    "norm.bias",
    "norm.weight",
  ]);
  expect(ip_adapter.config).toEqual({ cross_attention_dim: 16 });
});

test("the perceiver's keys and values are taken apart", () => {
  const block = "image_proj.layers.0";
  const { image_projection } = readIpAdapter({
    ...ATTENTION,
    "image_proj.latents": zeros(1, 16, 64),
    "image_proj.proj_in.weight": zeros(64, 24),
    "image_proj.proj_out.weight": zeros(16, 64),
    "image_proj.norm_out.weight": zeros(16),
    [`${block}.0.norm1.weight`]: zeros(64),
    [`${block}.0.norm2.weight`]: zeros(64),
    [`${block}.0.to_q.weight`]: zeros(128, 64),
    [`${block}.0.to_kv.weight`]: zeros(256, 64),
    [`${block}.0.to_out.weight`]: zeros(64, 128),
    [`${block}.1.0.weight`]: zeros(64),
    [`${block}.1.1.weight`]: zeros(256, 64),
    [`${block}.1.3.weight`]: zeros(64, 256),
  });
  expect(image_projection.className).toBe("IPAdapterPlusImageProjection");
  expect(image_projection.config).toMatchObject({ heads: 2, num_queries: 16, depth: 1 });
  expect(image_projection.unexpected).toEqual([]);
  expect(image_projection.entries["layers.0.attn.to_k.weight"].shape).toEqual([128, 64]);
  expect(Object.keys(image_projection.entries)).toContain("layers.0.ff.1.net.0.proj.weight");
});

test("what diffusers saves of a U-Net with an adapter is read under its own names", () => {
  const projection = "encoder_hid_proj.image_projection_layers.0";
  const path = "mid_block.attentions.0.transformer_blocks.0.attn2.processor";
  const { image_projection, ip_adapter } = readIpAdapter({
    [`${projection}.image_embeds.weight`]: zeros(64, 24),
    [`${projection}.image_embeds.bias`]: zeros(64),
    [`${projection}.norm.weight`]: zeros(16),
    [`${projection}.norm.bias`]: zeros(16),
    [`${path}.to_k_ip.0.weight`]: zeros(32, 16),
    [`${path}.to_v_ip.0.weight`]: zeros(32, 16),
  });
  expect(image_projection.className).toBe("ImageProjection");
  expect(image_projection.config).toMatchObject({ num_image_text_embeds: 4 });
  expect(Object.keys(ip_adapter.entries)).toEqual([
    `${path}.to_k_ip.0.weight`,
    `${path}.to_v_ip.0.weight`,
  ]);
});
