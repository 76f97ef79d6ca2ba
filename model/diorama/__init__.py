"""diorama"""
