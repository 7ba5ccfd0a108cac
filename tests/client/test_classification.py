import numpy as np

from engineroom.client.classification import Classification, classifications_from_array


def test_labels_may_hold_colons_and_may_be_missing():
    array = np.array([[b"0.700000:1:pear: williams", b"0.200000:2"]], object)
    assert classifications_from_array(array) == [
        (Classification(0.7, 1, "pear: williams"), Classification(0.2, 2, "")),
    ]


def test_an_answer_without_batch_axis_is_one_row():
    assert classifications_from_array(np.array([b"7:0", b"5:3"], object)) == [
        (Classification(7.0, 0, ""), Classification(5.0, 3, "")),
    ]
