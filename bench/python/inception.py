"""torch-fidelity's side of the Inception bench: IMAGES, with random weights."""
import sys
import torch
from torch_fidelity import feature_extractor_inceptionv3 as module

from serve import serve

torch.set_num_threads(2)
torch.manual_seed(0)
Extractor = module.FeatureExtractorInceptionV3
module.load_state_dict_from_url = lambda *args, **kwargs: {}
Extractor.load_state_dict = lambda self, state: None  # keeps the random initial weights
network = Extractor("inception-v3-compat", ["2048"])
images = torch.randint(0, 256, (int(sys.argv[1]), 3, 32, 32), dtype=torch.uint8)


@torch.no_grad()
def work():
    for batch in images.split(16):
        network(batch)


serve(work)
