"""A DICOM whole slide of one level, lossless."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, VLWholeSlideMicroscopyImageStorage, generate_uid

TILE = 128


def dicom(folder: Path, pixels: np.ndarray, spacing: tuple[float, float] = (0.00025, 0.0005)) -> Path:
    """Write pixels (H, W, 3) tiled; ``spacing`` is mm per row and column."""
    folder.mkdir()
    height, width = pixels.shape[:2]
    about = Dataset()
    about.file_meta = FileMetaDataset()
    about.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    about.file_meta.MediaStorageSOPClassUID = about.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    about.file_meta.MediaStorageSOPInstanceUID = about.SOPInstanceUID = generate_uid()
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "DimensionOrganizationUID"):
        setattr(about, name, generate_uid())
    about.Modality, about.ImageType = "SM", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    about.PatientID, about.PatientName = "1", "made^slide"
    about.StudyDate, about.StudyTime, about.ContentDate, about.ContentTime = "20260101", "000000", "20260101", "000000"
    about.AcquisitionDateTime, about.Manufacturer, about.ContainerIdentifier = "20260101000000", "made", "1"
    about.Rows = about.Columns = TILE
    about.TotalPixelMatrixRows, about.TotalPixelMatrixColumns = height, width
    about.NumberOfFrames = (height // TILE) * (width // TILE)
    about.SamplesPerPixel, about.PhotometricInterpretation, about.PlanarConfiguration = 3, "RGB", 0
    about.BitsAllocated = about.BitsStored = 8
    about.HighBit, about.PixelRepresentation, about.BurnedInAnnotation = 7, 0, "NO"
    about.LossyImageCompression, about.VolumetricProperties, about.FocusMethod = "00", "VOLUME", "AUTO"
    about.SpecimenLabelInImage, about.ExtendedDepthOfField = "NO", "NO"
    about.DimensionOrganizationType = "TILED_FULL"
    about.ImagedVolumeWidth, about.ImagedVolumeHeight = width * spacing[1], height * spacing[0]
    about.ImagedVolumeDepth, about.ImageOrientationSlide = 0.001, [0, -1, 0, -1, 0, 0]
    about.NumberOfOpticalPaths, about.TotalPixelMatrixFocalPlanes = 1, 1
    origin, path, measure, frame_type, shared = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = 0
    about.TotalPixelMatrixOriginSequence = Sequence([origin])
    path.OpticalPathIdentifier = "0"
    about.OpticalPathSequence = Sequence([path])
    measure.PixelSpacing, measure.SliceThickness = list(spacing), 0.001
    frame_type.FrameType = about.ImageType
    shared.PixelMeasuresSequence = Sequence([measure])
    shared.WholeSlideMicroscopyImageFrameTypeSequence = Sequence([frame_type])
    about.SharedFunctionalGroupsSequence = Sequence([shared])
    about.InstanceNumber = 1
    rows = pixels.reshape(height // TILE, TILE, width // TILE, TILE, 3).transpose(0, 2, 1, 3, 4)
    about.PixelData = np.ascontiguousarray(rows).tobytes()
    pydicom.dcmwrite(folder / "level.dcm", about, enforce_file_format=True)
    return folder
