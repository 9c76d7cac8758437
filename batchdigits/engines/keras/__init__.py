"""The reference engine: scaler, Keras model, label binarizer.

Their members are checked against lists of what is allowed before Keras or joblib reads them.
"""
