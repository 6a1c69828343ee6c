"""Writes conformance/cases/pipelines/tasks: diffusers' pipelines on tiny random networks.

    python scripts/python/make_pipeline_cases.py [NAME ...]

Needs torch 2.8, diffusers 0.35 and transformers 4.57. Weights are random, stored in float16 and run in float32.
Every case asserts that what it is about changes the result.
"""
import inspect, json, shutil, sys
from pathlib import Path

import torch
import diffusers as d
import transformers as t
from diffusers.image_processor import VaeImageProcessor
from safetensors.torch import save_file

CASES = Path(__file__).parents[2] / "conformance/cases"
TASKS = CASES / "pipelines/tasks"
SD2 = CASES / "pipelines/sd2/diffusers"
PROMPT, NEGATIVE = "a photo of a red cat on the moon, oil painting", "blurry, low quality, text"
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
torch.set_num_threads(1)


def scaled(model, seed, gain=1.5):
    """Random weights in which no branch is negligible."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.data = torch.randn(parameter.shape, generator=generator) * gain / fan_in**0.5
        else:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        parameter.data = parameter.data.half().float()
    return model.eval()


def text_model(cls, seed, hidden, projection=16, **more):
    config = t.CLIPTextConfig(
        vocab_size=vocabulary(), hidden_size=hidden, intermediate_size=2 * hidden, projection_dim=projection,
        num_hidden_layers=3, num_attention_heads=2, eos_token_id=vocabulary() - 1, bos_token_id=vocabulary() - 2, **more)
    return scaled(cls(config), seed, 1.0)


def tokenizer():
    return t.CLIPTokenizer.from_pretrained(SD2 / "tokenizer")


def vocabulary():
    return len(tokenizer())


def vae(seed, levels, **more):
    return scaled(d.AutoencoderKL(
        block_out_channels=[8] * levels, down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels, latent_channels=4, norm_num_groups=4, layers_per_block=1,
        sample_size=64, **more), seed, 1.0)


def unet(seed, context, channels=(8, 16), **more):
    options = dict(
        sample_size=8, block_out_channels=channels, layers_per_block=1, norm_num_groups=4, cross_attention_dim=context,
        down_block_types=["CrossAttnDownBlock2D"] * (len(channels) - 1) + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (len(channels) - 1),
        attention_head_dim=2, use_linear_projection=True)
    return scaled(d.UNet2DConditionModel(**{**options, **more}), seed)


def save(model, folder):
    """Writes a model or pipeline, without the paths that its configurations remember."""
    model.save_pretrained(folder)
    for file in folder.rglob("config.json"):
        config = json.loads(file.read_text())
        if config.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def stored(pipe, name):
    """Saves a pipeline in float16 and gives it back in float32."""
    folder = TASKS / name
    shutil.rmtree(folder, ignore_errors=True)
    save(pipe.to(torch.float16), folder)
    pipe.to(torch.float32).set_progress_bar_config(disable=True)
    return pipe


def sd2(cls=d.StableDiffusionPipeline, scheduler=None, **more):
    pipe = d.StableDiffusionPipeline.from_pretrained(SD2, torch_dtype=torch.float32)
    given = {**pipe.components, "requires_safety_checker": False, **more}
    pipe = cls(**{key: value for key, value in given.items() if key in inspect.signature(cls.__init__).parameters})
    pipe.scheduler = scheduler or d.DDIMScheduler(**BETAS, prediction_type="v_prediction", steps_offset=1)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def pictures(seed, *shape):
    coarse = torch.rand(shape[0], shape[1], 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=shape[2:], mode="bilinear", align_corners=True)


def run(pipe, seed=0, **call):
    """Latents after every step, and the picture."""
    steps = []
    record = lambda _pipe, _i, _t, given: steps.append(given["latents"].clone()) or {}
    generator = torch.Generator().manual_seed(seed)
    if takes(pipe, "callback_on_step_end"):
        call["callback_on_step_end"] = record
    else:
        call["callback"] = lambda _i, _t, latents: steps.append(latents.clone())
    image = pipe(generator=generator, **call).images
    if call.get("output_type") == "latent":
        return {"latents": torch.stack(steps)}
    return {"latents": torch.stack(steps), "image": torch.from_numpy(image)}


def takes(pipe, argument):
    return argument in inspect.signature(pipe.__call__).parameters


def write(name, pipe, function, config, inputs, out, without=None, **more):
    """`without`: the result without what the case is about."""
    change = None
    if without is not None:
        change = float((out["latents"][-1] - without["latents"][-1]).abs().max())
        assert change > 0.02, (name, change)
    scheduler = {k: v for k, v in pipe.scheduler.config.items() if not k.startswith("_")}
    scheduler["_class_name"] = type(pipe.scheduler).__name__
    record = dict(
        name=name, section="tasks", function=f"{function}.__call__",
        library={"diffusers": d.__version__, "transformers": t.__version__, "torch": torch.__version__},
        config={"scheduler": scheduler, **config}, tolerance=dict(atol=5e-4, rtol=1e-3), change=change, **more)
    TASKS.mkdir(parents=True, exist_ok=True)
    (TASKS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    tensors = {f"in.{k}": v.contiguous() for k, v in inputs.items()} | {f"out.{k}": v.contiguous() for k, v in out.items()}
    save_file(tensors, TASKS / f"{name}.safetensors")
    print(name, "change", change, "std", float(out["latents"][-1].std()))


def prompts(steps=4, guidance=4.0, **more):
    return dict(prompt=PROMPT, negative_prompt=NEGATIVE, num_inference_steps=steps, guidance_scale=guidance, **more)


# --- SDXL's base and refiner -----------------------------------------------------------------------------------------

def xl_unet(seed, context, embeds, ids):
    return unet(seed, context, addition_embed_type="text_time", addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=embeds + 8 * ids)


def xl():
    second = text_model(t.CLIPTextModelWithProjection, 2, 24)
    scheduler = d.EulerDiscreteScheduler(**BETAS, steps_offset=1, timestep_spacing="leading")
    common = dict(vae=vae(3, 4, force_upcast=True), text_encoder_2=second, tokenizer_2=tokenizer(), scheduler=scheduler,
                  add_watermarker=False)
    base = d.StableDiffusionXLPipeline(
        **common, text_encoder=text_model(t.CLIPTextModel, 1, 16), tokenizer=tokenizer(), unet=xl_unet(4, 40, 16, 6))
    refiner = d.StableDiffusionXLImg2ImgPipeline(
        **common, text_encoder=None, tokenizer=None, unet=xl_unet(5, 24, 16, 5), requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False)
    return stored(base, "xl-base"), stored(refiner, "xl-refiner")


def case_xl():
    base, refiner = xl()
    at = dict(checkpoint="pipelines/tasks/xl-base", refiner="pipelines/tasks/xl-refiner", seed=7)
    call = prompts(8, height=64, width=64)
    for name, scheduler in [("euler", None), ("dpmpp", d.DPMSolverMultistepScheduler(**BETAS, use_karras_sigmas=True))]:
        if scheduler:
            base.scheduler = scheduler
            refiner.scheduler = type(scheduler).from_config(scheduler.config)
        begun = run(base, 7, **call, denoising_end=0.6, output_type="latent")
        done = run(refiner, 7, **prompts(8), denoising_start=0.6, image=begun["latents"][-1], aesthetic_score=7.0,
                   negative_aesthetic_score=2.0, output_type="np")
        whole = run(base, 7, **call, output_type="np")
        write(f"xl_base_{name}", base, "StableDiffusionXLPipeline", {**at, **call, "denoising_end": 0.6}, {}, begun, whole)
        write(f"xl_base_and_refiner_{name}", base, "StableDiffusionXLPipeline+StableDiffusionXLImg2ImgPipeline",
              {**at, **call, "denoising_end": 0.6, "aesthetic_score": 7.0, "negative_aesthetic_score": 2.0}, {},
              {"latents": torch.cat([begun["latents"], done["latents"]]), "image": done["image"]}, whole)
    refiner.scheduler = d.EulerAncestralDiscreteScheduler(**BETAS)
    image = pictures(1, 1, 3, 64, 64)
    own = dict(**prompts(6), strength=0.5, original_size=(96, 80), crops_coords_top_left=(8, 16), num_images_per_prompt=2)
    result = run(refiner, 3, image=image, output_type="np", **own)
    del own["negative_prompt"]
    bare = run(refiner, 3, image=image, output_type="np", **own, aesthetic_score=9.0)
    write("xl_refiner_img2img", refiner, "StableDiffusionXLImg2ImgPipeline",
          {"checkpoint": "pipelines/tasks/xl-refiner", "seed": 3, **own, "negative_prompt": NEGATIVE}, {"image": image},
          result, bare)
    base = d.StableDiffusionXLImg2ImgPipeline(**base.components, add_watermarker=False)
    base.set_progress_bar_config(disable=True)
    call = dict(**prompts(6), strength=0.7, crops_coords_top_left=(24, 16), denoising_end=0.5)
    result = run(base, 4, image=image, output_type="np", **call)
    write("xl_img2img_crops", base, "StableDiffusionXLImg2ImgPipeline",
          {"checkpoint": "pipelines/tasks/xl-base", "seed": 4, **call}, {"image": image}, result,
          run(base, 4, image=image, output_type="np", **prompts(6), strength=0.7))


# --- Upscaling -------------------------------------------------------------------------------------------------------

def case_upscale():
    low = d.DDPMScheduler(**BETAS)
    pipe = stored(d.StableDiffusionUpscalePipeline(
        vae=vae(6, 3, scaling_factor=0.08333), text_encoder=text_model(t.CLIPTextModel, 7, 16), tokenizer=tokenizer(),
        unet=unet(8, 16, in_channels=7, num_class_embeds=400), low_res_scheduler=low, max_noise_level=350,
        scheduler=d.DDIMScheduler(**BETAS, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False)), "upscaler")
    at = {"checkpoint": "pipelines/tasks/upscaler", "seed": 5}
    image = pictures(2, 1, 3, 12, 16)
    for level, count in [(20, 1), (150, 2)]:
        call = prompts(4, noise_level=level, num_images_per_prompt=count)
        result = run(pipe, 5, image=image, output_type="np", **call)
        other = run(pipe, 5, image=image, output_type="np", **{**call, "noise_level": level + 100})
        write(f"upscale_{level}", pipe, "StableDiffusionUpscalePipeline", {**at, **call}, {"image": image}, result, other)


# --- IP-Adapter ------------------------------------------------------------------------------------------------------

def vision(seed):
    config = t.CLIPVisionConfig(hidden_size=16, intermediate_size=32, projection_dim=12, num_hidden_layers=2,
                                num_attention_heads=2, image_size=32, patch_size=8)
    return scaled(t.CLIPVisionModelWithProjection(config), seed, 1.0)


def ip_state(pipe, seed, plus):
    """A file in the layout of tencent-ailab's."""
    generator = torch.Generator().manual_seed(seed)
    randn = lambda *shape: (torch.randn(shape, generator=generator) / shape[-1] ** 0.5 * 1.5).half()
    width = pipe.unet.config.cross_attention_dim
    if plus:
        inner = 16
        image = {"latents": randn(1, 5, inner), "proj_in.weight": randn(inner, 16), "proj_in.bias": randn(inner),
                 "proj_out.weight": randn(width, inner), "proj_out.bias": randn(width),
                 "norm_out.weight": 1 + randn(width), "norm_out.bias": randn(width)}
        for i in range(4):
            for norm in ["0.norm1", "0.norm2", "1.0"]:
                image |= {f"layers.{i}.{norm}.weight": 1 + randn(inner), f"layers.{i}.{norm}.bias": randn(inner)}
            image |= {f"layers.{i}.0.to_q.weight": randn(64, inner), f"layers.{i}.0.to_kv.weight": randn(128, inner),
                      f"layers.{i}.0.to_out.weight": randn(inner, 64), f"layers.{i}.1.1.weight": randn(4 * inner, inner),
                      f"layers.{i}.1.3.weight": randn(inner, 4 * inner)}
    else:
        image = {"proj.weight": randn(4 * width, 12), "proj.bias": randn(4 * width), "norm.weight": 1 + randn(width),
                 "norm.bias": randn(width)}
    adapter, number = {}, 1
    for name, processor in pipe.unet.attn_processors.items():
        if "attn2" in name:
            module = pipe.unet.get_submodule(name.removesuffix(".processor"))
            out = module.to_k.weight.shape[0]
            adapter |= {f"{number}.to_k_ip.weight": randn(out, width), f"{number}.to_v_ip.weight": randn(out, width)}
            number += 2
    return {"image_proj": image, "ip_adapter": adapter}


def case_ip():
    pipe = sd2()
    encoder = vision(9)
    folder = TASKS / "image-encoder"
    save(encoder.half(), folder)
    encoder.float()
    processor = t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    states = {"ip": ip_state(pipe, 10, False), "ip-plus": ip_state(pipe, 11, True)}
    for name, state in states.items():
        save_file({f"{part}.{key}": value for part, own in state.items() for key, value in own.items()},
                  TASKS / f"{name}.safetensors")
    images = [(pictures(k, 1, 3, 32, 32) * 255).round() / 255 for k in (3, 4, 5)]
    shown = lambda *which: [VaeImageProcessor.numpy_to_pil(
        images[k].permute(0, 2, 3, 1).numpy())[0] for k in which]
    plain = run(pipe, 1, **prompts(3), height=64, width=64, output_type="np")
    # adapters: file, pictures, scale
    for name, adapters in [("one", [("ip", [0], 0.7)]), ("plus", [("ip-plus", [1], 0.6)]),
                           ("several", [("ip", [0, 1], 0.5), ("ip-plus", [2], 0.4)])]:
        pipe = sd2(image_encoder=encoder, feature_extractor=processor)
        pipe.load_ip_adapter([{part: {k: v.float() for k, v in own.items()} for part, own in states[file].items()}
                              for file, _, _ in adapters], subfolder="", weight_name=[None] * len(adapters))
        pipe.set_ip_adapter_scale([scale for _, _, scale in adapters])
        call = prompts(3, height=64, width=64)
        result = run(pipe, 1, **call, output_type="np", ip_adapter_image=[
            shown(*which) if len(which) > 1 else shown(*which)[0] for _, which, _ in adapters])
        write(f"ip_adapter_{name}", pipe, "StableDiffusionPipeline",
              {"checkpoint": "pipelines/sd2/diffusers", "seed": 1, **call, "image_encoder": "pipelines/tasks/image-encoder",
               "ip_adapters": [{"file": f"pipelines/tasks/{file}.safetensors", "images": [f"in.picture{k}" for k in which],
                                "scale": scale} for file, which, scale in adapters]},
              {f"picture{k}": images[k] for k in range(3)}, result, plain)


# --- T2I-Adapter, ControlNet, FreeU ----------------------------------------------------------------------------------

def case_t2i():
    pipe = sd2()
    adapters = [scaled(d.T2IAdapter(in_channels=c, channels=[16, 16, 32], num_res_blocks=1, downscale_factor=8), 12 + c)
                for c in (3, 1)]
    for adapter, name in zip(adapters, ("t2i-colour", "t2i-grey")):
        save(adapter.half(), TASKS / name)
        adapter.float()
    images = [pictures(6, 1, 3, 64, 64), pictures(7, 1, 1, 64, 64)]
    plain = run(pipe, 2, **prompts(4), height=64, width=64, output_type="np")
    files = ["pipelines/tasks/t2i-colour", "pipelines/tasks/t2i-grey"]
    for name, which, scales, share in [("one", [0], [0.8], 0.5), ("two", [0, 1], [0.6, 0.4], 1.0)]:
        own = sd2(d.StableDiffusionAdapterPipeline, adapter=[adapters[k] for k in which] if len(which) > 1 else adapters[0])
        scale = scales if len(which) > 1 else scales[0]
        call = prompts(4, height=64, width=64)
        result = run(own, 2, **call, output_type="np", image=[images[k] for k in which] if len(which) > 1 else images[0],
                     adapter_conditioning_scale=scale, **({"adapter_conditioning_factor": share} if takes(own, "adapter_conditioning_factor") else {}))
        if not takes(own, "adapter_conditioning_factor"):
            share = 1.0
        write(f"t2i_adapter_{name}", own, "StableDiffusionAdapterPipeline",
              {"checkpoint": "pipelines/sd2/diffusers", "seed": 2, **call, "adapters": [
                  {"file": files[k], "image": f"in.picture{k}", "scale": s} for k, s in zip(which, scales)],
               "adapter_conditioning_factor": share},
              {f"picture{k}": images[k] for k in which}, result, plain)


def case_t2i_xl():
    base = d.StableDiffusionXLPipeline.from_pretrained(TASKS / "xl-base", torch_dtype=torch.float32)
    own = {**base.components, "unet": xl3()}
    base = stored(d.StableDiffusionXLPipeline(**own, add_watermarker=False), "xl-three")
    adapter = scaled(d.T2IAdapter(in_channels=3, channels=[8, 8, 16, 16], num_res_blocks=1, downscale_factor=16,
                                  adapter_type="full_adapter_xl"), 17)
    save(adapter.half(), TASKS / "t2i-xl")
    pipe = d.StableDiffusionXLAdapterPipeline(**base.components, adapter=adapter.float())
    pipe.set_progress_bar_config(disable=True)
    image = pictures(8, 1, 3, 64, 64)
    call = prompts(4, height=64, width=64)
    result = run(pipe, 6, **call, image=image, adapter_conditioning_scale=0.8, adapter_conditioning_factor=0.5, output_type="np")
    write("t2i_adapter_xl", pipe, "StableDiffusionXLAdapterPipeline",
          {"checkpoint": "pipelines/tasks/xl-three", "seed": 6, **call, "adapter_conditioning_factor": 0.5, "adapters": [
              {"file": "pipelines/tasks/t2i-xl", "image": "in.picture0", "scale": 0.8}]},
          {"picture0": image}, result, run(base, 6, **call, output_type="np"))


def xl3():
    return unet(16, 40, (8, 8, 16), addition_embed_type="text_time", addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=64, down_block_types=["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
                up_block_types=["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"])


def case_control():
    pipe = sd2()
    nets = [scaled(d.ControlNetModel.from_unet(pipe.unet, conditioning_embedding_out_channels=(4, 4, 8, 8)), 20 + k, 0.7)
            for k in range(2)]
    for k, net in enumerate(nets):
        save(net.half(), TASKS / f"controlnet-{k}")
        net.float()
    hints = [pictures(20 + k, 1, 3, 64, 64) for k in range(2)]
    image, mask = pictures(22, 1, 3, 64, 64), (pictures(23, 1, 1, 64, 64) > 0.5).float()
    settings = dict(controlnet_conditioning_scale=[0.6, 0.9], control_guidance_start=[0.0, 0.25], control_guidance_end=[0.75, 1.0])
    files = {"controlnets": [f"pipelines/tasks/controlnet-{k}" for k in range(2)]}
    at = {"checkpoint": "pipelines/sd2/diffusers", "seed": 8, **files, **settings}
    both = d.MultiControlNetModel(nets)
    call = prompts(4, height=64, width=64)
    own = sd2(d.StableDiffusionControlNetPipeline, controlnet=both)
    saved = {f"control_image{k}": h for k, h in enumerate(hints)}
    one = {**settings, "controlnet_conditioning_scale": [0.6, 0.0]}
    write("controlnet_two", own, "StableDiffusionControlNetPipeline", {**at, **call}, saved,
          run(own, 8, **call, image=hints, **settings, output_type="np"), run(own, 8, **call, image=hints, **one, output_type="np"))
    own = sd2(d.StableDiffusionControlNetImg2ImgPipeline, controlnet=both)
    call = prompts(6, strength=0.6)
    write("controlnet_img2img", own, "StableDiffusionControlNetImg2ImgPipeline", {**at, **call}, {**saved, "image": image},
          run(own, 8, **call, image=image, control_image=hints, height=64, width=64, **settings, output_type="np"),
          run(own, 8, **call, image=image, control_image=hints, height=64, width=64, **one, output_type="np"))
    own = sd2(d.StableDiffusionControlNetInpaintPipeline, controlnet=both)
    call = prompts(5, strength=0.8, guess_mode=True)
    write("controlnet_inpaint", own, "StableDiffusionControlNetInpaintPipeline", {**at, **call},
          {**saved, "image": image, "mask_image": mask},
          run(own, 8, **call, image=image, mask_image=mask, control_image=hints, height=64, width=64, **settings, output_type="np"))


def case_freeu():
    pipe = sd2()
    call = prompts(4, height=64, width=48)
    plain = run(pipe, 9, **call, output_type="np")
    settings = dict(s1=0.9, s2=0.2, b1=1.4, b2=1.6)
    pipe.enable_freeu(**settings)
    write("freeu", pipe, "StableDiffusionPipeline", {"checkpoint": "pipelines/sd2/diffusers", "seed": 9, **call, "freeu": settings},
          {}, run(pipe, 9, **call, output_type="np"), plain)


# --- Other inputs ----------------------------------------------------------------------------------------------------

def small(name, cls, seed, scheduler, channels=4, **more):
    return stored(cls(
        vae=vae(seed, 4), text_encoder=text_model(t.CLIPTextModel, seed + 1, 16), tokenizer=tokenizer(), scheduler=scheduler,
        unet=unet(seed + 2, 16, in_channels=channels, **more.pop("unet", {})), **more), name)


def case_lcm():
    off = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe = small("lcm", d.LatentConsistencyModelPipeline, 30, d.LCMScheduler(**BETAS, clip_sample=False), unet=dict(time_cond_proj_dim=8), **off)
    call = dict(prompt=PROMPT, num_inference_steps=4, guidance_scale=6.0, height=64, width=64)
    at = {"checkpoint": "pipelines/tasks/lcm", "seed": 10}
    write("lcm", pipe, "LatentConsistencyModelPipeline", {**at, **call}, {}, run(pipe, 10, **call, output_type="np"),
          run(pipe, 10, **{**call, "guidance_scale": 2.0}, output_type="np"))
    own = d.LatentConsistencyModelImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    own.set_progress_bar_config(disable=True)
    image = pictures(31, 1, 3, 64, 64)
    call = dict(prompt=PROMPT, num_inference_steps=4, strength=0.6, original_inference_steps=40)
    write("lcm_img2img", own, "LatentConsistencyModelImg2ImgPipeline", {**at, **call}, {"image": image},
          run(own, 10, image=image, **call, output_type="np"))


def case_depth():
    off = dict(depth_estimator=None, feature_extractor=None)
    config = t.DPTConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=4, num_attention_heads=1, image_size=16, patch_size=8,
                         backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[4, 4, 4, 4], fusion_hidden_size=4, is_hybrid=False)
    off["depth_estimator"] = t.DPTForDepthEstimation(config)
    off["feature_extractor"] = t.DPTImageProcessor()
    pipe = small("depth", d.StableDiffusionDepth2ImgPipeline, 40, d.DDIMScheduler(**BETAS, steps_offset=1, clip_sample=False), 5, **off)
    shutil.rmtree(TASKS / "depth/depth_estimator"); shutil.rmtree(TASKS / "depth/feature_extractor")
    index = json.loads((TASKS / "depth/model_index.json").read_text())
    index |= {"depth_estimator": [None, None], "feature_extractor": [None, None]}
    (TASKS / "depth/model_index.json").write_text(json.dumps(index, indent=1))
    image, depth = pictures(41, 1, 3, 64, 64), 3 * pictures(42, 1, 1, 64, 64)[:, 0]
    call = prompts(5, strength=0.8)
    write("depth2img", pipe, "StableDiffusionDepth2ImgPipeline", {"checkpoint": "pipelines/tasks/depth", "seed": 11, **call},
          {"image": image, "depth_map": depth}, run(pipe, 11, image=image, depth_map=depth, **call, output_type="np"),
          run(pipe, 11, image=image, depth_map=depth.flip(-1), **call, output_type="np"))


def case_pix2pix():
    off = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe = small("pix2pix", d.StableDiffusionInstructPix2PixPipeline, 50, d.EulerAncestralDiscreteScheduler(**BETAS), 8, **off)
    image = pictures(51, 1, 3, 64, 64)
    call = prompts(5, image_guidance_scale=1.8)
    write("pix2pix", pipe, "StableDiffusionInstructPix2PixPipeline", {"checkpoint": "pipelines/tasks/pix2pix", "seed": 12, **call},
          {"image": image}, run(pipe, 12, image=image, **call, output_type="np"),
          run(pipe, 12, image=image, **{**call, "image_guidance_scale": 1.0}, output_type="np"))


def case_sigmas():
    call = prompts(height=64, width=64)
    del call["num_inference_steps"]
    pipe = sd2(scheduler=d.EulerDiscreteScheduler(**BETAS, prediction_type="v_prediction"))
    call["sigmas"] = [13.0, 5.0, 1.5, 0.3]
    write("sigmas_euler", pipe, "StableDiffusionPipeline", {"checkpoint": "pipelines/sd2/diffusers", "seed": 13, **call}, {},
          run(pipe, 13, **call, output_type="np"))
    call = {**call, "timesteps": [950, 700, 300, 100, 20], "guidance_rescale": 0.4, "clip_skip": 1, "num_images_per_prompt": 2}
    del call["sigmas"]
    pipe = sd2(scheduler=d.DPMSolverMultistepScheduler(**BETAS, prediction_type="v_prediction"))
    write("timesteps_dpmpp", pipe, "StableDiffusionPipeline", {"checkpoint": "pipelines/sd2/diffusers", "seed": 14, **call}, {},
          run(pipe, 14, **call, output_type="np"))


def case_inpaint():
    """Schedulers with more than one evaluation in a step: what is known is put back after each."""
    image, mask = pictures(70, 1, 3, 64, 64), (pictures(71, 1, 1, 64, 64) > 0.5).float()
    call = prompts(6, strength=0.75)
    for name, scheduler in [("pndm", d.PNDMScheduler(**BETAS, prediction_type="v_prediction", skip_prk_steps=True)),
                            ("heun", d.HeunDiscreteScheduler(**BETAS, prediction_type="v_prediction"))]:
        pipe = sd2(d.StableDiffusionInpaintPipeline, scheduler)
        write(f"inpaint_{name}", pipe, "StableDiffusionInpaintPipeline",
              {"checkpoint": "pipelines/sd2/diffusers", "seed": 15, **call}, {"image": image, "mask_image": mask},
              run(pipe, 15, image=image, mask_image=mask, height=64, width=64, **call, output_type="np"))


def case_safety():
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker as Checker, cosine_distance
    config = t.CLIPConfig(projection_dim=12, vision_config=vision(60).config.to_dict())
    checker = scaled(Checker(config), 61, 1.0)
    images = torch.cat([(pictures(62 + k, 1, 3, 32, 32) * 255).round() / 255 for k in range(6)])
    clip = t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})(
        list((images * 255).round().byte().permute(0, 2, 3, 1).numpy()),
        return_tensors="pt").pixel_values
    embeds = checker.visual_projection(checker.vision_model(clip)[1])
    concepts, special = (cosine_distance(embeds, table) for table in (checker.concept_embeds, checker.special_care_embeds))
    # Thresholds at which two of six pictures are above one concept each, and one needs special care.
    checker.concept_embeds_weights.data = torch.full((17,), float(concepts.amax(1).sort().values[3:5].mean())).half().float()
    checker.special_care_embeds_weights.data = torch.full((3,), float(special.amax(1).sort().values[4:6].mean())).half().float()
    save(checker.half(), TASKS / "safety-checker")
    checker.float()
    _, flagged = checker(clip, images.permute(0, 2, 3, 1).numpy().copy())
    assert any(flagged) and not all(flagged), flagged
    write_record("safety_checker", {"section": "tasks", "function": "StableDiffusionSafetyChecker.forward",
                                    "config": {"checker": "pipelines/tasks/safety-checker"}, "tolerance": dict(atol=0, rtol=0)},
                 {"in.images": images, "out.flagged": torch.tensor(flagged)})


def write_record(name, record, tensors):
    (TASKS / f"{name}.json").write_text(json.dumps({"name": name, **record}, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in tensors.items()}, TASKS / f"{name}.safetensors")


if __name__ == "__main__":
    cases = {name[5:]: own for name, own in list(globals().items()) if name.startswith("case_")}
    with torch.no_grad():
        for name in sys.argv[1:] or cases:
            cases[name]()
