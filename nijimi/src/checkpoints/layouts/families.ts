/**
 * The families of checkpoints that are known by their names, most specific first.
 *
 * `reads` families become components under our names. `names` families keep the names that their
 * authors gave; their networks take them as they are. `refused` families are recognised so that a user
 * learns what the file is, and are not read.
 */
import type { Entries } from "../checkpoint.ts";
import { indexNames, matches, type Signature } from "./signature.ts";

/** What is done with a family. */
export type Support = "reads" | "names" | "refused";

/** A kind of checkpoint. */
export interface Family {
  readonly id: string;
  /** What it is, for people. */
  readonly title: string;
  readonly support: Support;
  /** Any of these signatures will do. */
  readonly signatures: readonly Signature[];
  /** Asked of the shapes, where names are not enough. */
  readonly when?: (entries: Entries) => boolean;
}

function family(id: string, title: string, support: Support, ...signatures: Signature[]): Family {
  return { id, title, support, signatures };
}

const LDM_UNET = "model.diffusion_model.input_blocks.0.0.weight";
const CROSS = "transformer_blocks.#.attn#.to_k.weight";

/** Recognised to be refused by name. Below `model.diffusion_model.` in single files, bare in others. */
const REFUSED: readonly Family[] = [
  refused(
    "stable-diffusion-3",
    "Stable Diffusion 3 / 3.5",
    "joint_blocks.#.context_block.adaLN_modulation.#.bias",
  ),
  refused(
    "stable-diffusion-3",
    "Stable Diffusion 3 / 3.5",
    "transformer_blocks.#.norm#_context.linear.weight",
    "pos_embed.proj.weight",
  ),
  refused(
    "flux",
    "FLUX",
    "double_blocks.#.img_attn.norm.key_norm.scale",
    "single_blocks.#.linear#.weight",
  ),
  refused("flux", "FLUX", "double_blocks.#.img_attn.norm.key_norm.weight"),
  refused("flux", "FLUX", "single_transformer_blocks.#.proj_mlp.weight", "x_embedder.weight"),
  refused(
    "hunyuan-video",
    "HunyuanVideo",
    "txt_in.individual_token_refiner.blocks.#.adaLN_modulation.#.bias",
  ),
  refused("auraflow", "AuraFlow", "double_layers.#.attn.w#q.weight"),
  refused("hidream", "HiDream", "double_stream_blocks.#.block.adaLN_modulation.#.bias"),
  refused("qwen-image", "Qwen-Image", "transformer_blocks.#.img_mod.#.weight", "txt_norm.weight"),
  refused("lumina-2", "Lumina 2", "cap_embedder.#.weight", "layers.#.adaLN_modulation.#.weight"),
  refused(
    "sana",
    "Sana",
    "blocks.#.cross_attn.q_linear.weight",
    "y_embedder.y_proj.fc#.weight",
    "blocks.#.mlp.inverted_conv.conv.weight",
  ),
  refused(
    "pixart",
    "PixArt",
    "blocks.#.cross_attn.q_linear.weight",
    "y_embedder.y_proj.fc#.weight",
  ),
  refused(
    "hunyuan-dit",
    "Hunyuan-DiT",
    "blocks.#.default_modulation.#.weight",
    "text_embedding_padding",
  ),
  refused("wan", "Wan (video)", "blocks.#.cross_attn.norm_q.weight", "head.modulation"),
  refused(
    "ltx-video",
    "LTX-Video",
    "patchify_proj.weight",
    "transformer_blocks.#.scale_shift_table",
  ),
  refused("mochi", "Mochi (video)", "blocks.#.attn.qkv_x.weight"),
  refused("cogvideo", "CogVideo", "mixins.final_layer.linear.weight"),
  refused("cosmos", "Cosmos", "net.x_embedder.proj.#.weight"),
  refused("stable-cascade", "Stable Cascade / Würstchen", "clip_txt_mapper.weight"),
  refused("stable-cascade", "Stable Cascade / Würstchen", "down_blocks.#.#.channelwise.#.weight"),
  refused(
    "stable-video-diffusion",
    "Stable Video Diffusion",
    "input_blocks.#.#.time_stack.in_layers.#.weight",
  ),
  refused(
    "animatediff",
    "AnimateDiff motion module",
    "down_blocks.#.motion_modules.#.temporal_transformer.norm.weight",
  ),
  refused(
    "stable-audio",
    "Stable Audio",
    "model.model.transformer.layers.#.cross_attend_norm.gamma",
  ),
  refused("playground-2.5", "Playground 2.5 (EDM)", "edm_mean"),
  refused("wan-vae", "Wan's video autoencoder", "decoder.middle.#.residual.#.gamma"),
  refused(
    "autoencoder-dc",
    "Deep-compression autoencoder",
    "decoder.stages.#.op_list.#.main.conv.conv.bias",
  ),
  refused("control-lora", "Control-LoRA", "lora_controlnet"),
  refused("esrgan", "ESRGAN upscaler", "model.#.sub.#.RDB#.conv#.#.weight"),
  refused("esrgan", "ESRGAN upscaler", "body.#.rdb#.conv#.weight"),
];

function refused(id: string, title: string, ...names: string[]): Family {
  const below = names.map((name) => `model.diffusion_model.${name}`);
  return family(id, title, "refused", { all: names }, { all: below });
}

/** Whole Stable Diffusion pipelines in one file. Which variant is decided from shapes. */
const SINGLE_FILES: readonly Family[] = [
  family("sdxl-refiner", "Stable Diffusion XL refiner", "reads", {
    all: [LDM_UNET, "conditioner.embedders.0.model.positional_embedding"],
  }),
  family("sdxl", "Stable Diffusion XL", "reads", {
    all: [LDM_UNET, "conditioner.embedders.1.model.positional_embedding"],
  }),
  family("stable-diffusion-x4-upscaler", "Stable Diffusion x4 upscaler", "reads", {
    all: [
      LDM_UNET,
      "model.diffusion_model.label_emb.weight",
      "cond_stage_model.model.positional_embedding",
    ],
  }),
  family("stable-diffusion-2-unclip", "Stable Diffusion 2.1 unCLIP", "reads", {
    all: [
      LDM_UNET,
      "model.diffusion_model.label_emb.0.0.weight",
      "cond_stage_model.model.positional_embedding",
    ],
  }),
  family("stable-diffusion-2", "Stable Diffusion 2", "reads", {
    all: [LDM_UNET, "cond_stage_model.model.positional_embedding"],
  }),
  family("stable-diffusion-1", "Stable Diffusion 1", "reads", {
    all: [LDM_UNET],
    any: [
      "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
      "cond_stage_model.transformer.embeddings.position_embedding.weight",
    ],
  }),
  family("latent-diffusion", "Latent diffusion (CompVis)", "reads", { all: [LDM_UNET] }),
  family("controlnet", "ControlNet (original names)", "reads", {
    all: ["control_model.input_hint_block.0.weight"],
  }),
  family("controlnet", "ControlNet (original names)", "reads", {
    all: ["input_hint_block.0.weight", "input_blocks.0.0.weight", "zero_convs.0.0.weight"],
  }),
];

/** Single networks under diffusers' and transformers' names, without their config. */
const DIFFUSERS: readonly Family[] = [
  family(
    "t2i-adapter",
    "T2I-Adapter",
    "reads",
    { all: ["adapter.conv_in.weight"] },
    { all: ["conv_in.weight", "body.0.block1.weight"] },
  ),
  family(
    "ip-adapter",
    "IP-Adapter",
    "reads",
    { all: ["ip_adapter.#.to_k_ip.weight", "image_proj.*"] },
    { all: ["encoder_hid_proj.image_projection_layers.#.*"], none: ["conv_in.weight"] },
  ),
  family("controlnet-diffusers", "ControlNet", "reads", {
    all: ["controlnet_cond_embedding.conv_in.weight", "conv_in.weight"],
  }),
  family(
    "autoencoder-tiny",
    "Tiny autoencoder (TAESD)",
    "reads",
    { all: ["decoder.layers.0.weight"] },
    { all: ["encoder.layers.0.weight"] },
  ),
  family("vq-model", "VQ autoencoder", "reads", {
    all: ["quantize.embedding.weight", "encoder.down_blocks.0.resnets.0.conv1.weight"],
  }),
  family("autoencoder-kl", "KL autoencoder", "reads", {
    all: ["encoder.conv_in.weight", "encoder.down_blocks.0.resnets.0.conv1.weight"],
  }),
  family("unet-condition", "Conditional U-Net", "reads", {
    all: ["conv_in.weight", "time_embedding.linear_1.weight", "up_blocks.0.resnets.0.conv1.weight"],
    any: [
      `down_blocks.#.attentions.#.${CROSS}`,
      `mid_block.attentions.#.${CROSS}`,
      "mid_block.attentions.#.add_k_proj.weight",
    ],
  }),
  family("unet", "U-Net", "reads", {
    all: [
      "conv_in.weight",
      "time_embedding.linear_1.weight",
      "down_blocks.0.resnets.0.conv1.weight",
    ],
  }),
  family("prior-transformer", "unCLIP prior", "names", {
    all: ["prd_embedding", "proj_to_clip_embeddings.weight"],
  }),
  family("dit", "DiT (class-conditional transformer)", "names", {
    all: [
      "pos_embed.proj.weight",
      "transformer_blocks.#.norm#.emb.class_embedder.embedding_table.weight",
    ],
  }),
  family("ldm-bert-transformers", "LDM's BERT text encoder", "names", {
    all: [
      "model.embed_tokens.weight",
      "model.layers.0.self_attn_layer_norm.weight",
      "to_logits.weight",
    ],
  }),
  family("safety-checker", "Stable Diffusion safety checker", "names", {
    all: ["special_care_embeds", "concept_embeds"],
  }),
  family("clip-transformers", "CLIP", "reads", {
    all: [
      "text_model.embeddings.token_embedding.weight",
      "vision_model.embeddings.class_embedding",
    ],
  }),
  family("clip-text", "CLIP text encoder", "reads", {
    all: ["text_model.embeddings.token_embedding.weight"],
  }),
  family("clip-vision", "CLIP image encoder", "reads", {
    all: ["vision_model.embeddings.class_embedding"],
  }),
  family(
    "vit-transformers",
    "Vision transformer (transformers)",
    "reads",
    { all: ["vit.embeddings.cls_token"] },
    { all: ["embeddings.cls_token", "encoder.layer.0.attention.attention.query.weight"] },
  ),
  family("t5", "T5 text encoder", "reads", {
    all: ["encoder.block.0.layer.0.SelfAttention.q.weight"],
  }),
  family(
    "transformer-2d",
    "Spatial transformer (diffusers)",
    "names",
    { all: ["transformer_blocks.#.attn#.to_q.weight", "proj_in.weight", "norm.weight"] },
    { all: ["latent_image_embedding.emb.weight"] },
  ),
  family("unclip-text-proj", "unCLIP text projection", "names", {
    all: ["clip_extra_context_tokens_proj.weight", "learned_classifier_free_guidance_embeddings"],
  }),
];

/** The papers' own repositories. */
const AUTHORS: readonly Family[] = [
  family("openai-clip", "CLIP (openai/CLIP, open_clip)", "reads", {
    all: ["visual.proj", "token_embedding.weight", "ln_final.weight"],
  }),
  family("openai-clip-resnet", "CLIP with a ResNet (openai/CLIP, open_clip)", "names", {
    all: ["visual.attnpool.q_proj.weight", "visual.layer1.0.conv1.weight"],
  }),
  family("openai-clip", "CLIP (openai/CLIP, open_clip)", "names", {
    all: ["visual.class_embedding"],
    any: ["visual.proj", "text_projection"],
  }),
  family("glide", "GLIDE (openai/glide-text2im)", "names", {
    all: ["transformer_proj.weight", "middle_block.1.encoder_kv.weight", "input_blocks.0.0.weight"],
  }),
  family(
    "guided-diffusion-classifier",
    "ADM's noisy classifier (openai/guided-diffusion)",
    "names",
    {
      all: ["input_blocks.0.0.weight", "middle_block.1.qkv.weight"],
      any: ["out.2.weight", "out.2.c_proj.weight", "out.1.c_proj.weight", "out.0.weight"],
      none: ["output_blocks.0.0.in_layers.0.weight"],
    },
  ),
  family("latent-diffusion-unet", "U-Net of latent diffusion (CompVis/latent-diffusion)", "reads", {
    all: ["input_blocks.0.0.weight", `middle_block.#.${CROSS}`],
  }),
  family("guided-diffusion", "ADM's U-Net (openai/guided-diffusion)", "reads", {
    all: ["input_blocks.0.0.weight", "middle_block.1.qkv.weight"],
    any: ["output_blocks.#.#.in_layers.#.weight"],
    none: [
      "input_blocks.#.#.op.weight",
      "output_blocks.#.#.conv.weight",
      "output_blocks.#.#.op.weight",
    ],
  }),
  family(
    "improved-diffusion",
    "U-Net of improved-diffusion, guided-diffusion or latent-diffusion without cross-attention",
    "reads",
    {
      all: ["input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight", "out.2.weight"],
    },
  ),
  family("taming-vqgan", "VQGAN (CompVis/taming-transformers, latent-diffusion)", "reads", {
    all: ["quantize.embedding.weight", "encoder.down.0.block.0.norm1.weight"],
  }),
  family("taming-gumbel-vqgan", "Gumbel VQGAN (CompVis/taming-transformers)", "names", {
    all: ["quantize.embed.weight", "encoder.down.0.block.0.norm1.weight"],
  }),
  family("latent-diffusion-autoencoder", "KL autoencoder (CompVis/latent-diffusion)", "reads", {
    all: ["encoder.down.0.block.0.norm1.weight", "decoder.conv_in.weight"],
  }),
  family("taming-net2net", "VQGAN transformer (CompVis/taming-transformers)", "names", {
    all: ["transformer.tok_emb.weight", "transformer.blocks.0.attn.key.weight"],
  }),
  family("taming-gpt", "minGPT (CompVis/taming-transformers)", "names", {
    all: ["tok_emb.weight", "blocks.0.attn.key.weight"],
  }),
  family(
    "patch-discriminator",
    "Patch discriminator (pix2pix, taming-transformers, latent-diffusion)",
    "names",
    { all: ["main.0.weight", "main.2.weight"] },
    { all: ["discriminator.main.0.weight"] },
  ),
  family("lpips", "LPIPS perceptual distance", "names", {
    all: ["lin0.model.1.weight", "lin4.model.1.weight"],
  }),
  family("latent-diffusion-bert", "BERT text encoder (CompVis/latent-diffusion)", "names", {
    all: ["transformer.token_emb.weight", "transformer.attn_layers.layers.0.1.to_q.weight"],
  }),
  family("ddim", "U-Net of DDPM / DDIM (ermongroup/ddim, pesser/pytorch_diffusion)", "reads", {
    all: ["temb.dense.0.weight", "down.0.block.0.norm1.weight"],
  }),
  family(
    "score-sde",
    "Score SDE network: NCSN++, DDPM++ or DDPM (yang-song/score_sde_pytorch)",
    "names",
    { all: ["all_modules.#.weight"] },
  ),
  family(
    "ncsnv2",
    "NCSNv2 (ermongroup/ncsnv2)",
    "names",
    {
      all: [
        "begin_conv.weight",
        "refine1.adapt_convs.0.1_1_conv.weight",
        "res1.0.normalize1.alpha",
      ],
    },
    { all: ["begin_conv.weight", "sigmas", "res1.0.conv1.weight"] },
  ),
  family("ncsn", "NCSN (ermongroup/ncsn)", "names", {
    all: ["begin_conv.weight", "res1.0.normalize1.embed.weight"],
  }),
  family("vit-jax", "Vision transformer (google-research/vision_transformer)", "reads", {
    all: ["embedding/kernel", "Transformer/encoder_norm/scale"],
  }),
  family("vit-pytorch", "Vision transformer (lucidrains/vit-pytorch)", "names", {
    all: ["to_patch_embedding.1.weight", "transformer.layers.0.0.to_qkv.weight"],
  }),
  family("dalle2-prior", "DALL·E 2 prior (lucidrains/DALLE2-pytorch)", "names", {
    all: ["causal_transformer.project_out.weight", "learned_query"],
  }),
  family("dalle2-decoder", "DALL·E 2 decoder U-Net (lucidrains/DALLE2-pytorch)", "names", {
    all: ["null_image_hiddens", "to_image_hiddens.#.weight", "mid_block1.block1.project.weight"],
  }),
  family(
    "imagen",
    "Imagen U-Net (lucidrains/imagen-pytorch)",
    "names",
    { all: ["init_conv.convs.0.weight", "mid_block1.block1.norm.gamma"] },
    { all: ["mid_block1.block1.project.weight", "to_time_hiddens.0.weights"] },
  ),
  family("parti", "Parti (lucidrains/parti-pytorch)", "names", {
    all: ["start_token", "axial_height_pos", "image_token_embed.weight"],
  }),
  family(
    "vit-vqgan",
    "ViT-VQGAN (lucidrains/parti-pytorch)",
    "names",
    { all: ["enc_dec.encoder.0.to_patch_tokens.1.weight"] },
    { all: ["enc_dec.encoder.*", "quantizer.*"] },
  ),
  family("laion-aesthetics-mlp", "LAION-Aesthetics v2 head", "names", {
    all: [
      "layers.0.weight",
      "layers.2.weight",
      "layers.4.weight",
      "layers.6.weight",
      "layers.7.weight",
    ],
  }),
  family("unet-segmentation", "U-Net (milesial/Pytorch-UNet)", "names", {
    all: ["inc.double_conv.0.weight", "outc.conv.weight"],
  }),
  family("inception-fid", "Inception v3 for FID (pytorch-fid)", "names", {
    all: ["Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch1x1.conv.weight"],
  }),
  family("inception-block", "Inception block (pytorch-fid)", "names", {
    all: ["branch_pool.conv.weight", "branch1x1.conv.weight"],
  }),
  family(
    "taesd",
    "Tiny autoencoder (madebyollin/taesd)",
    "reads",
    { all: ["decoder.1.weight", "decoder.3.conv.0.weight"] },
    { all: ["encoder.0.weight", "encoder.1.conv.0.weight"] },
  ),
  family("taesd-decoder", "Tiny autoencoder's decoder (madebyollin/taesd)", "reads", {
    all: ["1.weight", "3.conv.0.weight", "3.conv.2.weight"],
    none: ["0.weight"],
  }),
  family("taesd-encoder", "Tiny autoencoder's encoder (madebyollin/taesd)", "reads", {
    all: ["0.weight", "1.conv.0.weight", "1.conv.2.weight"],
  }),
  family(
    "embedding-table",
    "Embedding table: a codebook (taming-transformers) or classes (latent-diffusion)",
    "names",
    { all: ["embedding.weight"] },
    { all: ["embed.weight", "proj.weight"] },
  ),
  {
    ...family("laion-aesthetics-linear", "LAION-Aesthetics v1 head", "names", {
      all: ["weight", "bias"],
    }),
    when: ({ weight }) => weight.shape.length === 2 && weight.shape[0] === 1,
  },
  family("spatial-rescaler", "Spatial rescaler (CompVis/latent-diffusion)", "names", {
    all: ["channel_mapper.weight"],
  }),
  // Fragments: files that hold some of a network's tensors.
  family(
    "openai-unet-part",
    "Part of a U-Net in OpenAI's layout",
    "names",
    { all: ["input_blocks.*"] },
    { all: ["output_blocks.*"] },
  ),
  family(
    "guided-diffusion-classifier-part",
    "Part of ADM's noisy classifier (openai/guided-diffusion)",
    "names",
    {
      all: ["out.#.qkv_proj.weight"],
    },
  ),
  family(
    "taming-autoencoder-part",
    "Part of an autoencoder (CompVis/taming-transformers, latent-diffusion)",
    "names",
    { all: ["quantize.embedding.weight"] },
    { all: ["quant_conv.weight", "encoder.*"] },
  ),
  family(
    "ddim-part",
    "Part of a U-Net of DDPM / DDIM (ermongroup/ddim, pesser/pytorch_diffusion)",
    "names",
    { all: ["down.#.attn.#.q.weight"] },
    { all: ["up.#.attn.#.q.weight"] },
  ),
];

/** All families, most specific first. */
export const FAMILIES: readonly Family[] = [...REFUSED, ...SINGLE_FILES, ...DIFFUSERS, ...AUTHORS];

/** The family of a state dict, by its names alone. */
export function recognise(entries: Entries): Family | undefined {
  const names = indexNames(entries);
  return FAMILIES.find(
    ({ signatures, when }) =>
      signatures.some((signature) => matches(signature, names)) &&
      (when === undefined || when(entries)),
  );
}
