"""What TensorBoard's own package writes: the bytes that io/tensorboard.hpp is tested against.

    python3 events.py        writes events.tfevents beside this file; needs PyPI's tensorboard
"""
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.summary.writer.record_writer import RecordWriter

TIME = 1700000000.25


def events():
    yield Event(wall_time=TIME, file_version='brain.Event:2')
    yield Event(wall_time=TIME, step=300, session_log=SessionLog(status=SessionLog.START))
    for step, tag, x in [(250, 'loss/training', 2.742), (1 << 40, 'loss/training', -1e-30), (7, 'é', float('nan')), (8, 'x', float('inf'))]:
        yield Event(wall_time=TIME, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=x)]))
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name='text'), data_class='DATA_CLASS_TENSOR')
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    for step, text in (3, 'ROMEO:\n'), (4, 'é' * 100):
        tensor = TensorProto(dtype='DT_STRING', tensor_shape=shape, string_val=[text.encode()])
        yield Event(wall_time=TIME, step=step, summary=Summary(value=[Summary.Value(tag='sample', tensor=tensor, metadata=metadata)]))


if __name__ == '__main__':
    with open(Path(__file__).with_suffix('.tfevents'), 'wb') as file:
        writer = RecordWriter(file)
        for event in events():
            writer.write(event.SerializeToString())
        writer.flush()
